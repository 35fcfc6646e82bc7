/**
 * What the packed package is used for, as text: programs that follow imports of `tapstack`, `core` and `sim`, be it by `import` or by `require`. Each
 * ends only if nothing keeps its process alive.
 */

/** Two stacks, a pipe and an echo, and what the entries have in common. */
export const USE = `
const assert = (truth, what) => { if (!truth) throw new Error(what) }
assert(tapstack.NetError === core.NetError && tapstack.Stack === core.Stack, 'the entries share their classes')
assert(tapstack.createPipe === sim.createPipe, 'the entries share their functions')
const world = sim.createWorld({ seed: 1 })
world.link(world.stack(), world.stack(), { loss: 0.1 })
core.startServices(world.stacks[1])
let state = ''
const c = world.stacks[0].tcp.open({ remoteAddress: '10.0.0.2', remotePort: 13 }, { onClose: () => { state = 'closed' }, onReadable: (c) => { c.skip(99); if (c.ended) c.shutdown() } })
assert(world.runUntil(() => state === 'closed') && c.bytesRead > 30, 'daytime in a simulated world')
const [a, b] = tapstack.createPipe()
const client = tapstack.createStack(), server = core.createStack()
client.attach(a, { addresses: ['10.0.0.1/24'] })
server.attach(b, { addresses: ['10.0.0.2/24'] })
core.startServices(server)
const socket = client.net.connect(7, '10.0.0.2')
socket.end('hello')
socket.on('data', (data) => { console.log(String(data)) })
socket.on('close', () => { client.close(); server.close() })
tapstack.openLink('nonsense:').catch((error) => { console.log(error.code) })
`

/**
 * What needs more than the module itself: native code by koffi, optional peers, workers, hooks of Node's loader, files and sockets of the host.
 * Says a line for each thing that works. \`load\` gives one module as the kind of program at hand does; \`THREAD\`
 * is a worker's file; \`dependent\` is a package that asks for \`net\`.
 */
export const FILES = (kind: 'import' | 'require', key: string, cert: string): string => `
const load = async (name) => ${kind === 'import' ? 'import(name)' : 'require(name)'}
const assert = (truth, what) => { if (!truth) throw new Error(what) }
const pair = () => {
  const [a, b] = tapstack.createPipe()
  return [a, b].map((link, i) => {
    const stack = tapstack.createStack()
    stack.attach(link, { addresses: ['10.0.0.' + (i + 1) + '/24'], probe: false })
    return stack
  })
}
/** A stack on each link; one asks the other for its echo. */
const echo = async (near, far) => {
  const ends = [near, far].map((link, i) => {
    const stack = tapstack.createStack()
    stack.attach(link, { addresses: ['10.0.0.' + (i + 1) + '/24'], probe: false })
    return stack
  })
  tapstack.startServices(ends[1])
  let said = ''
  await new Promise((resolve, reject) => {
    const socket = ends[0].net.connect(7, '10.0.0.2')
    socket.on('data', (data) => { said += data }).on('close', resolve).on('error', reject).end('hello')
  })
  for (const stack of ends) await stack.close()
  assert(said === 'hello', 'echo said ' + said)
}
const things = {
  async 'vde, by koffi'() {
    const path = FOLDER + '/switch'
    let far
    const server = await tapstack.serveVde((link) => { far = link }, path)
    const near = await tapstack.openVde({ path })
    await echo(near, far)
    await server.close()
  },
  async 'a socket of the host'() {
    const path = FOLDER + '/guest.sock'
    const far = new Promise((resolve) => { things.guest = resolve })
    const server = await tapstack.guestServer((link) => things.guest(link), 'unix:' + path)
    await echo(await tapstack.openSocketLink('unix:' + path), await far)
    await server.close()
  },
  async 'a multiplexer of another process, and a worker of this one'() {
    const [link] = tapstack.createPipe()
    const mux = tapstack.createMux(link)
    const path = FOLDER + '/mux.sock'
    const server = await tapstack.serveMux(mux, { path })
    await echo(await tapstack.openMux({ path, mac: 'device' }), mux.open({}))
    await server.close()
    const stack = tapstack.createStack()
    stack.attach(mux.open({}), { addresses: ['10.0.0.1/24'], probe: false })
    const { ticket } = tapstack.shareMux(mux, { mac: 'device' })
    const { Worker } = await load('node:worker_threads')
    const worker = new Worker(THREAD, { workerData: ticket, transferList: [ticket.port] })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    for await (const reply of stack.ping('10.0.0.9', { count: 1 })) assert(reply.error === undefined, reply.error)
    await worker.terminate()
    await stack.close()
    await mux.close()
  },
  async 'fetch, by undici'() {
    const [client, server] = pair()
    server.http.createServer((_, response) => response.end('page')).listen(80)
    assert(await (await client.fetch('http://10.0.0.2/')).text() === 'page', 'no page')
    await client.close()
    await server.close()
  },
  async 'https, by Node on our sockets'() {
    const [client, server] = pair()
    const key = ${JSON.stringify(key)}, cert = ${JSON.stringify(cert)}
    server.https.createServer({ key, cert }, (_, response) => response.end('page')).listen(443)
    const text = await new Promise((resolve, reject) => {
      client.https.get({ host: '10.0.0.2', rejectUnauthorized: false, agent: false }, (response) => {
        let said = ''
        response.on('data', (data) => { said += data }).on('end', () => resolve(said))
      }).on('error', reject)
    })
    assert(text === 'page', 'no page')
    await client.close()
    await server.close()
  },
  async 'a WebSocket, by ws'() {
    const far = new Promise((resolve) => { things.far = resolve })
    const server = await tapstack.guestServer((link) => things.far(link), 'ws://127.0.0.1:7380/')
    await echo(await tapstack.openWebSocketLink('ws://127.0.0.1:7380/'), await far)
    await server.close()
  },
  async 'a package that is not changed'() {
    const [client, server] = pair()
    tapstack.startServices(server)
    const registration = client.register('dependent')
    const { daytime } = await load('dependent')
    assert(/20\\d\\d/.test(await daytime('10.0.0.2')), 'no daytime')
    registration.unregister()
    await client.close()
    await server.close()
  },
  async 'signed segments, by @noble'() {
    const [client, server] = pair()
    const key = (peer) => ({ algorithm: 'aes-128-cmac-96', peer, key: 'secret', sendId: 1, receiveId: 1 })
    const kinds = []
    server.tcp.listen({ port: 9, keys: [key('10.0.0.1')] }, { onConnection: (c) => { kinds.push(c.info().signed) } })
    await new Promise((resolve, reject) => {
      const onClose = (_, error) => reject(error)
      client.tcp.open({ remoteAddress: '10.0.0.2', remotePort: 9, keys: [key('10.0.0.2')] }, { onConnect: resolve, onClose })
    })
    assert(kinds.join() === 'ao', 'signed by ' + kinds)
    await client.close()
    await server.close()
  },
  async 'leases and captures in files'() {
    const [link] = tapstack.createPipe()
    const path = FOLDER + '/x.pcapng'
    const captured = tapstack.capture(link, path)
    await captured.close()
    const { statSync } = await load('node:fs')
    assert(statSync(path).size > 0, 'no capture')
    const store = tapstack.leaseFile(FOLDER + '/lease')
    assert(store !== null, 'no store')
  },
  async 'a tap'() {
    if (!TAP) return
    const near = await tapstack.openTap({ name: 'tap7', host: '10.0.0.1/24' })
    const stack = tapstack.createStack()
    stack.attach(near, { addresses: ['10.0.0.2/24'], probe: false })
    tapstack.startServices(stack)
    const net = await load('node:net')
    const said = await new Promise((resolve, reject) => {
      net.connect(7, '10.0.0.2').on('data', (data) => resolve(String(data))).on('error', reject).end('tapped')
    })
    assert(said === 'tapped', 'echo said ' + said)
    assert(near.describe().includes('woken by libuv'), near.describe())
    await stack.close()
  },
}
const main = async () => {
  for (const [name, thing] of Object.entries(things)) {
    await thing()
    console.log(name)
  }
}
main().catch((error) => { console.error(error); process.exit(1) })
`

/** A worker that is a stack of its own, once it may be asked. */
export const THREAD = `
const stack = createStack()
stack.attach(openSharedMux(workerData), { addresses: ['10.0.0.9/24'], probe: false })
parentPort.postMessage('ready')
setInterval(() => undefined, 1000)
`

/** A package that asks for \`net\`. */
export const DEPENDENT = `
const net = require('net')
exports.daytime = (host) => new Promise((resolve, reject) => {
  let said = ''
  net.connect(13, host).on('data', (data) => { said += data }).on('error', reject).on('end', () => resolve(said))
})
`
