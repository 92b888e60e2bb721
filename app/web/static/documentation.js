"use strict";

const place = document.getElementById("documentation");

SwaggerUIBundle({
  url: place.dataset.descriptionUrl,
  domNode: place,
  deepLinking: true,
  displayOperationId: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // it would send the description to a server of others
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "StandaloneLayout",
});
