// Asks one HTTP/2 server again and again, by several sessions, until standard input ends; prints what it got as JSON.
// A session that the server ends by GOAWAY is replaced; a request that fails is counted, never repeated.
const http2 = require("http2");

const [port, sessions] = process.argv.slice(2);
let asks = true;
const counts = { answers: 0, sessions: 0, failures: {} };

function fail(reason) {
  counts.failures[reason] = (counts.failures[reason] || 0) + 1;
}

function connect() {
  counts.sessions += 1;
  const session = http2.connect(`https://localhost:${port}`, { rejectUnauthorized: false });
  session.on("error", (error) => fail(`session: ${error.code}`));
  return session;
}

function ask(session) {
  return new Promise((resolve) => {
    let request;
    try {
      request = session.request({ ":path": "/" });
    } catch {
      session.close(); // the server has sent it away meanwhile: nothing was asked
      return resolve();
    }
    let status = 0;
    let body = "";
    request.on("response", (headers) => (status = headers[":status"]));
    request.on("data", (data) => (body += data));
    request.on("error", (error) => fail(`${error.code} ${error.message}`));
    request.on("close", () => {
      if (status === 200 && body === "first 2") counts.answers += 1;
      else fail(`status ${status}, body ${body}`);
      resolve();
    });
    request.end();
  });
}

async function client() {
  let session = connect();
  while (asks) {
    if (session.closed || session.destroyed) session = connect();
    await ask(session);
  }
  session.close();
}

process.stdin.on("end", () => (asks = false)).resume();
Promise.all(Array.from({ length: Number(sessions) }, client)).then(() => {
  console.log(JSON.stringify(counts));
  process.exit(0);
});
