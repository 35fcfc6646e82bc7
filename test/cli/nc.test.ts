import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { NodeStack } from '../../src/node/stack.ts'
import { withCommand } from '../support/node-command.ts'

/** A server of the peer that answers each connection. */
async function serving(peer: NodeStack, port: number, serve: (socket: ReturnType<NodeStack['net']['connect']>) => void) {
  const server = peer.net.createServer({ allowHalfOpen: true }, serve)
  server.listen(port)
  await once(server, 'listening')
  return server
}

/** All that comes. (Iterating over a socket would destroy it at the end.) */
async function textOf(socket: ReturnType<NodeStack['net']['connect']>): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += String(chunk)
  })
  await once(socket, 'end')
  return text
}

describe('tapstack nc', () => {
  it('-N: sends what there is, ends its direction, and receives the answer', () =>
    withCommand(async (peer, begin) => {
      const server = await serving(peer, 5000, async (socket) => {
        const heard = await textOf(socket)
        socket.end(`you said ${heard}`)
      })
      const nc = begin('nc -N -v 10.0.0.1 5000')
      nc.input.end('hello')
      expect(await nc.ended).toBe(0)
      expect(nc.bytes().toString()).toBe('you said hello')
      expect(nc.errors).toEqual(['Connection to 10.0.0.1 5000 port [tcp/*] succeeded!'])
      server.close()
    }))

  it('without -N its end of input is no end of the connection; the FIN of the other side is none of ours', () =>
    withCommand(async (peer, begin) => {
      let told: (rest: Promise<string>) => void = () => undefined
      const rest = new Promise<string>((resolve) => {
        told = resolve
      })
      const server = await serving(peer, 5000, async (socket) => {
        const [first] = await once(socket, 'data')
        socket.end(`got ${first}`) // the other direction is still open
        told(textOf(socket))
      })
      const nc = begin('nc 10.0.0.1 5000')
      nc.input.write('one')
      await once(nc.output, 'data')
      nc.input.end('two')
      expect(await nc.ended).toBe(0)
      expect([nc.bytes().toString(), await rest]).toEqual(['got one', 'two'])
      server.close()
    }))

  it('does not read on what it cannot write: neither from the connection nor from standard input', () =>
    withCommand(async (peer, begin) => {
      const big = Buffer.alloc(8 << 20, 'x')
      let wanted = false
      const server = await serving(peer, 5000, (socket) => {
        socket.write(big, () => socket.end())
        socket.pause()
        peer.host.after(50, {
          run() {
            wanted = true
            socket.resume()
          },
        })
      })
      const nc = begin('nc -N 10.0.0.1 5000', { stuck: true })
      nc.input.end(big)
      while (nc.output.readableLength === 0) await new Promise((resolve) => setImmediate(resolve))
      // What is held on the way is bounded by windows and buffers, far below what is to come.
      expect(nc.output.readableLength + nc.output.writableLength).toBeLessThan(1 << 20)
      let got = 0
      nc.output.on('data', (chunk: Buffer) => {
        got += chunk.length
      })
      expect(await nc.ended).toBe(0)
      expect([got, wanted]).toEqual([big.length, true])
      server.close()
    }))

  it('-l: one connection, both ways, over either family', () =>
    withCommand(async (peer, begin) => {
      const nc = begin('nc -l -v -a 10.0.0.2/24 -a fd00::2/64 5000')
      nc.input.end('welcome')
      await nc.until(/^Listening on :: 5000$/)
      const socket = peer.net.connect(5000, 'fd00::2')
      socket.end('hello')
      expect(await textOf(socket)).toBe('welcome')
      expect(await nc.ended).toBe(0)
      expect(nc.bytes().toString()).toBe('hello')
      expect(nc.errors[1]).toMatch(/^Connection received on fd00::1 \d+$/)
    }))

  it('-k: one after the other, until it is stopped', () =>
    withCommand(async (peer, begin) => {
      const nc = begin('nc -k -v -4 -l 10.0.0.2 5000')
      await nc.until(/^Listening on 10\.0\.0\.2 5000$/)
      for (const word of ['one', 'two']) {
        const socket = peer.net.connect(5000, '10.0.0.2')
        socket.end(word)
        expect(await textOf(socket)).toBe('')
      }
      expect(nc.bytes().toString()).toBe('onetwo')
      expect(await nc.stop()).toBe(130)
    }))

  it('-z: which ports are open', () =>
    withCommand(async (peer, begin) => {
      const servers = [await serving(peer, 22, (s) => s.resume().end()), await serving(peer, 5001, (s) => s.resume().end())]
      const nc = begin('nc -z -v 10.0.0.1 21-22 5001')
      expect(await nc.ended).toBe(0)
      expect(nc.errors).toEqual([
        'nc: connect to 10.0.0.1 port 21 (tcp) failed: connection refused',
        'Connection to 10.0.0.1 22 port [tcp/ssh] succeeded!',
        'Connection to 10.0.0.1 5001 port [tcp/*] succeeded!',
      ])
      for (const server of servers) server.close()
    }))

  it('-u: datagrams, and the word that nobody is there', () =>
    withCommand(async (peer, begin) => {
      const echo = peer.dgram.createSocket('udp4')
      echo.on('message', (message, from) => echo.send(message, from.port, from.address))
      await new Promise<void>((resolve) => echo.bind(7, resolve))
      const nc = begin('nc -u -w 0.2 10.0.0.1 7')
      nc.input.end('hello')
      expect(await nc.ended).toBe(0)
      expect(nc.bytes().toString()).toBe('hello')
      echo.close()
    }))

  it('-u -z: open, as far as one can tell, or refused', () =>
    withCommand(async (peer, begin) => {
      const quiet = peer.dgram.createSocket('udp4')
      await new Promise<void>((resolve) => quiet.bind(7, resolve))
      const nc = begin('nc -u -z -v -w 0.1 10.0.0.1 7 9')
      expect(await nc.ended).toBe(0)
      expect(nc.errors).toEqual([
        'Connection to 10.0.0.1 7 port [udp/echo] succeeded!',
        'nc: connect to 10.0.0.1 port 9 (udp) failed: connection refused',
      ])
      quiet.close()
    }))

  it('-u -l: talks to the first who says something', () =>
    withCommand(async (peer, begin) => {
      const nc = begin('nc -u -l -v -4 5000')
      nc.input.write('welcome')
      await nc.until(/^Bound on 0\.0\.0\.0 5000$/)
      const socket = peer.dgram.createSocket('udp4')
      socket.send('hello', 5000, '10.0.0.2')
      const [message] = await once(socket, 'message')
      expect([String(message), nc.bytes().toString()]).toEqual(['welcome', 'hello'])
      socket.close()
      expect(await nc.stop()).toBe(130)
    }))

  it('says that nobody listens, and gives up when it is told to', () =>
    withCommand(async (_peer, begin) => {
      const nc = begin('nc 10.0.0.1 9')
      expect(await nc.ended).toBe(1)
      expect(nc.errors).toEqual(['nc: connect to 10.0.0.1 port 9 (tcp) failed: connection refused'])
    }).then(() =>
      withCommand(async (_peer, begin) => {
        const nc = begin('nc -w 0.05 10.0.0.77 9')
        expect(await nc.ended).toBe(1)
        expect(nc.errors).toEqual(['nc: connect to 10.0.0.77 port 9 (tcp) failed: connection timed out'])
      }),
    ))

  it('tells a connection that broke from one that ended', () =>
    withCommand(async (peer, begin) => {
      const server = await serving(peer, 5000, (socket) => socket.once('data', () => socket.resetAndDestroy()))
      const nc = begin('nc 10.0.0.1 5000')
      nc.input.write('x')
      expect(await nc.ended).toBe(1)
      expect(nc.errors).toEqual(['tapstack nc: the connection broke: connection reset by peer'])
      server.close()
    }))

  it.each([
    ['nc 10.0.0.1', 'a port is missing'],
    ['nc', 'a host is missing'],
    ['nc 10.0.0.1 70000', '70000: a port or a range'],
    ['nc 10.0.0.1 30-20', '30-20: a port or a range'],
    ['nc -k 10.0.0.1 5', '-k is for -l'],
    ['nc -l', 'a port is missing: tapstack nc -l 5000'],
    ['nc -l -p 5 6', 'one port is expected'],
    ['nc -l 10.0.0.2 5000 1', 'unexpected "1"'],
    ['nc -l -z 5000', '-l and -z'],
    ['nc -w never 10.0.0.1 5', '--timeout never'],
  ])('%s: exit code 1, with why', (line, words) =>
    withCommand(async (_peer, begin) => {
      const nc = begin(line)
      expect(await nc.ended).toBe(1)
      expect(nc.errors.length).toBe(1)
      expect(nc.errors[0]).toContain(words)
    }),
  )
})
