// Fetches a page over a stack of its own: node:http, as a client.
//   npx tsx examples/http_get.ts http://10.0.0.1:8000/ [--link tap://tap0?host=10.0.0.1/24] [--address 10.0.0.2/24]
// The headers go to standard error, the body to standard output.
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { createStack, openLink } from 'tapstack'

// What cannot be done is told in one line.
process.once('uncaughtException', (error) => {
  console.error(error.message)
  process.exit(1)
})

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    link: { type: 'string', default: 'tap://tap0?host=10.0.0.1/24' },
    address: { type: 'string', multiple: true, default: ['10.0.0.2/24'] },
    gateway: { type: 'string', multiple: true },
  },
})
const [url = 'http://10.0.0.1:8000/'] = positionals

const stack = createStack({ name: 'http_get' })
try {
  const link = await openLink(values.link)
  await stack.attach(link, { addresses: values.address, gateway: values.gateway }).ready

  const request = stack.http.get(url, { agent: new stack.http.Agent() })
  const [response] = await once(request, 'response')
  console.error(`HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`)
  for (const [name, value] of Object.entries(response.headers)) console.error(`${name}: ${value}`)
  await pipeline(response, process.stdout, { end: false })
} catch (error) {
  console.error(`${url}: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await stack.close()
}
