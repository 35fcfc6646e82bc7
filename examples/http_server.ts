// A web server: node:http, on a stack of its own.
//   npx tsx examples/http_server.ts [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24] [--port 80]
// Then: curl http://10.0.0.2/; curl http://10.0.0.2/bytes/50000000 | sha256sum
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { createStack, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    address: { type: 'string', multiple: true, default: ['10.0.0.2/24'] },
    port: { type: 'string', default: '80' },
  },
})

const link = await openLink(values.link)
const stack = createStack({ name: 'http_server' })
await stack.attach(link, { addresses: values.address }).ready

/** `length` bytes 0, 1, 2, ... 250, 0, 1, ... */
function* counting(length: number): Generator<Buffer> {
  const block = Buffer.from(Array.from({ length: 251 * 256 }, (_, i) => i % 251))
  for (; length > block.length; length -= block.length) yield block
  yield block.subarray(0, length)
}

const server = stack.http.createServer((request, response) => {
  // One listener for both families: IPv4 comes as ::ffff:10.0.0.1.
  const peer = request.socket.remoteAddress?.replace('::ffff:', '')
  console.log(`${peer} ${request.method} ${request.url}`)
  const bytes = /^\/bytes\/(\d{1,12})$/.exec(request.url ?? '')
  if (bytes !== null) {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes[1] })
    if (request.method === 'HEAD') response.end()
    else Readable.from(counting(Number(bytes[1]))).pipe(response)
  } else if (request.url === '/') {
    response.end(`Hello ${peer}, this is a TCP/IP stack in TypeScript.\n`)
  } else {
    response.writeHead(404).end('No such page.\n')
  }
})
server.listen(Number(values.port))
await once(server, 'listening')
const hosts = values.address.map((a) => a.split('/')[0]).map((a) => (a.includes(':') ? `[${a}]` : a))
console.log(`ready: ${hosts.map((host) => `http://${host}:${values.port}/`).join(' ')} on ${link.name}`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stack.close())
