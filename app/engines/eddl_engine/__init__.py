"""The toolkit's own libraries, EDDL and ECVL, behind the contract of engines; an optional extra."""
