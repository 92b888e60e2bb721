"""What the commands of `dht` read, ask for and show; `app.cli` names them."""
