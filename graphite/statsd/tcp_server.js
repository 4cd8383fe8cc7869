// StatsD's TCP server with two bugs fixed: the original has no error listener, so a client that resets its connection
// crashes the process, and it buffers an endless line without limit.
"use strict";
const net = require("net");

const MAX_LINE_LENGTH = 64 * 1024;

exports.start = function (config, handlePacket) {
  const server = net.createServer((stream) => {
    stream.setEncoding("ascii");
    stream.on("error", () => stream.destroy());
    let buffer = "";
    stream.on("data", (data) => {
      buffer += data;
      const end = buffer.lastIndexOf("\n");
      if (end >= 0) {
        const packet = buffer.slice(0, end + 1);
        buffer = buffer.slice(end + 1);
        handlePacket(packet, { address: stream.remoteAddress, port: stream.remotePort, family: "IPv4", size: packet.length });
      }
      if (buffer.length > MAX_LINE_LENGTH) {
        stream.destroy();
      }
    });
  });
  // StatsD is useless without its port: exit, so that the supervisor retries and reports it.
  server.on("error", (error) => {
    console.error(`StatsD cannot listen on TCP ${config.address}:${config.port}: ${error.message}`);
    process.exit(1);
  });
  server.listen(config.port, config.address);
  return true;
};
