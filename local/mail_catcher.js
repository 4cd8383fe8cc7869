// Protects the mail catcher from web pages in the same browser: emails contain links that give access to subscribers'
// alerts. Preloaded with `node --require`, because maildev allows every origin and has no setting for that.
//
// A request must name this machine (otherwise another site's name could resolve to 127.0.0.1), and come from the
// catcher's own page, or from outside a page: a browser's address bar, or a program.
"use strict";
const http = require("http");

const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i;
const createServer = http.createServer;

http.createServer = (...options) => {
  const server = createServer(...options);
  const emit = server.emit;
  server.emit = function (event, request, response) {
    if (event === "upgrade" && !isAllowed(request.headers)) {
      response.destroy(); // the connection
      return true;
    }
    if (event === "request") {
      if (!isAllowed(request.headers)) {
        response.writeHead(403, { "Content-Type": "text/plain" });
        response.end("Open the mail catcher at http://127.0.0.1 or http://localhost. Other pages may not read emails.\n");
        return true;
      }
      hideFromOtherOrigins(response);
    }
    return emit.apply(this, arguments);
  };
  return server;
};

function isAllowed(headers) {
  const { host = "", origin } = headers;
  if (!LOCAL_HOST.test(host)) return false;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  const site = headers["sec-fetch-site"];
  const isLink = headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
  return site === undefined || site === "same-origin" || site === "none" || isLink;
}

function hideFromOtherOrigins(response) {
  const setHeader = response.setHeader;
  response.setHeader = function (name, value) {
    return /^access-control-/i.test(name) ? this : setHeader.call(this, name, value);
  };
  setHeader.call(response, "Cross-Origin-Resource-Policy", "same-origin");
  setHeader.call(response, "X-Frame-Options", "SAMEORIGIN");
}
