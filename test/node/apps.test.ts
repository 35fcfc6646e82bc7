/** Clients and servers as they come from npm, each given a socket of a stack in its own way: mqtt and aedes, nodemailer and smtp-server, ssh2. */
import { type EventEmitter, once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Aedes } from 'aedes'
import { type IClientOptions, MqttClient } from 'mqtt'
import nodemailer from 'nodemailer'
import { SMTPServer } from 'smtp-server'
import ssh2 from 'ssh2'
import { describe, expect, it } from 'vitest'
import type { NodeStack } from '../../src/node/stack.ts'
import { noise } from '../support/frames.ts'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'
import { withTwoStacks } from '../support/two-stacks.ts'

const BIG = Buffer.from(noise(1_000_000, 9))

describe('mqtt and aedes', () => {
  /** Its types are not those of an EventEmitter; it is one. */
  const event = (client: MqttClient, name: 'connect' | 'message'): Promise<unknown[]> =>
    once(client as unknown as EventEmitter, name)

  /** A broker on `there`, and what makes clients on `here`. */
  const withBroker = (run: (client: (options?: IClientOptions) => MqttClient) => Promise<void>): Promise<void> =>
    withTwoStacks(async (here, there) => {
      const broker = await Aedes.createBroker()
      const server = there.net.createServer(broker.handle as never).listen(1883)
      await once(server, 'listening')
      await run((options = {}) => new MqttClient(() => here.net.connect(1883, '10.0.0.2') as never, options))
      await new Promise<void>((resolve) => broker.close(resolve))
      server.close()
      await once(server, 'close')
    })

  it('publish by every quality of service, a megabyte too, and keep what is retained', () =>
    withBroker(async (connect) => {
      const publisher = connect()
      const subscriber = connect()
      await publisher.publishAsync('kept', 'for later', { retain: true, qos: 1 })
      const told = new Map<string, Buffer>()
      subscriber.on('message', (topic, payload) => told.set(topic, payload))
      await subscriber.subscribeAsync('#', { qos: 2 })
      for (const qos of [0, 1, 2] as const) await publisher.publishAsync(`level/${qos}`, `${qos}`, { qos })
      await publisher.publishAsync('big', BIG, { qos: 1 })
      while (told.size < 5) await event(subscriber, 'message')
      expect(BIG.equals(told.get('big')!)).toBe(true)
      const small = ['kept', 'level/0', 'level/1', 'level/2'].map((topic) => String(told.get(topic)))
      expect(small).toEqual(['for later', '0', '1', '2'])
      await Promise.all([publisher.endAsync(), subscriber.endAsync()])
    }))

  it('the last will of a client whose connection breaks is told; it comes back by itself', () =>
    withBroker(async (connect) => {
      const mourner = connect()
      await mourner.subscribeAsync('wills')
      const client = connect({
        reconnectPeriod: 1,
        will: { topic: 'wills', payload: Buffer.from('gone'), qos: 0, retain: false },
      })
      await event(client, 'connect')
      const will = event(mourner, 'message')
      const back = event(client, 'connect')
      client.stream.destroy()
      expect(String((await will)[1])).toBe('gone')
      await back
      expect(client.connected).toBe(true)
      await Promise.all([mourner.endAsync(), client.endAsync()])
    }))
})

describe('nodemailer and smtp-server', () => {
  it.each([
    ['by STARTTLS', { requireTLS: true }],
    ['in the clear', { ignoreTLS: true }],
    ['pooled', { pool: true, maxConnections: 2, ignoreTLS: true }],
  ])('mails with what is attached arrive whole, %s', (_, how) =>
    withTwoStacks(async (here, there) => {
      const mails: { from: string; to: string[]; secure: boolean; raw: string }[] = []
      const sink = new SMTPServer({
        key: TEST_KEY,
        cert: TEST_CERT,
        disableReverseLookup: true,
        allowInsecureAuth: true,
        onAuth: ({ username, password }, _session, done) =>
          password === 'secret' ? done(null, { user: username }) : done(new Error('Invalid password')),
        onData: (stream, { envelope, secure }, done) => {
          void text(stream).then((raw) => {
            const { mailFrom, rcptTo } = envelope
            mails.push({ from: mailFrom ? mailFrom.address : '', to: rcptTo.map((r) => r.address), secure, raw })
            done()
          })
        },
      })
      const server = there.net.createServer((socket) => sink.server.emit('connection', socket)).listen(25)
      await once(server, 'listening')

      const transport = nodemailer.createTransport({
        ...how,
        host: '10.0.0.2',
        port: 25,
        auth: { user: 'me', pass: 'secret' },
        tls: { ca: TEST_CERT, servername: 'localhost' },
        getSocket: (_options: unknown, done: (error: Error | null, socket: unknown) => void) => {
          const connection = here.net.connect(25, '10.0.0.2')
          connection.once('connect', () => done(null, { connection })).once('error', (error) => done(error, null))
        },
      } as never)
      const mail = { from: 'me@here.example', to: ['you@there.example', 'them@there.example'], subject: 'Grüße' }
      const attachments = [{ filename: 'big.bin', content: BIG, contentTransferEncoding: 'base64' as const }]
      const sent = await Promise.all([1, 2, 3].map((n) => transport.sendMail({ ...mail, text: `mail ${n}\n.\n..`, attachments })))
      expect(sent.map(({ accepted, rejected }) => [accepted, rejected])).toEqual(Array(3).fill([mail.to, []]))
      expect(mails.map(({ from, to, secure }) => ({ from, to, secure }))).toEqual(
        Array(3).fill({ from: mail.from, to: mail.to, secure: 'requireTLS' in how }),
      )
      for (const { raw } of mails) {
        const encoded =
          /big\.bin\r\n\r\n([A-Za-z0-9+/=\r\n]+)/.exec(raw)?.[1] ?? /\r\n\r\n([A-Za-z0-9+/=\r\n]{9999,})/.exec(raw)![1]
        expect(BIG.equals(Buffer.from(encoded, 'base64'))).toBe(true)
      }
      transport.close()
      server.close()
      await once(server, 'close')
    }),
  )
})

describe('ssh2, both ends', () => {
  const { Client, Server, utils } = ssh2
  const hostKey = utils.generateKeyPairSync('ed25519').private

  /** A server on `there` that runs `cat` and forwards TCP, and a client on `here` that has logged in. */
  const withLogin = (run: (client: ssh2.Client, there: NodeStack) => Promise<void>): Promise<void> =>
    withTwoStacks(async (here, there) => {
      const sshd = new Server({ hostKeys: [hostKey] }, (peer) => {
        peer.on('authentication', (a) => (a.method === 'password' && a.password === 'secret' ? a.accept() : a.reject()))
        peer.on('session', (accept) => {
          accept().on('exec', (accepted, rejected, { command }) => {
            if (command !== 'cat') return rejected()
            const stream = accepted()
            stream.stderr.write('this is cat\n')
            stream.on('data', (data: Buffer) => void (stream.write(data) || stream.pause()))
            stream.on('drain', () => stream.resume())
            stream.on('end', () => {
              stream.exit(7)
              stream.end()
            })
          })
        })
        peer.on('tcpip', (accept, _reject, { destIP, destPort }) => {
          const channel = accept()
          channel.pipe(there.net.connect(destPort, destIP)).pipe(channel)
        })
      })
      const server = there.net.createServer((socket) => sshd.injectSocket(socket as never)).listen(22)
      await once(server, 'listening')

      const client = new Client()
      client.connect({ sock: here.net.connect(22, '10.0.0.2'), username: 'me', password: 'secret' })
      await once(client, 'ready')
      await run(client, there)
      const closed = once(client, 'close')
      client.end()
      await closed
      server.close()
      await once(server, 'close')
    })

  it('run a command: a megabyte there and back, standard error, exit status', () =>
    withLogin(async (client) => {
      const stream = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
        client.exec('cat', (error, channel) => (error ? reject(error) : resolve(channel))),
      )
      const heard: Buffer[] = []
      stream.on('data', (data: Buffer) => heard.push(data))
      const [said, [code]] = await Promise.all([
        text(stream.stderr),
        once(stream, 'exit'),
        stream.end(BIG),
        once(stream, 'close'),
      ])
      expect([said, code]).toEqual(['this is cat\n', 7])
      expect(BIG.equals(Buffer.concat(heard))).toBe(true)
    }))

  it('forward a connection: HTTP through the tunnel', () =>
    withLogin(async (client, there) => {
      const web = there.http.createServer((req, res) => res.end(`${req.method} by ${req.socket.remoteAddress}`)).listen(80)
      await once(web, 'listening')
      const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) =>
        client.forwardOut('127.0.0.1', 0, '10.0.0.2', 80, (error, made) => (error ? reject(error) : resolve(made))),
      )
      channel.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      expect(await text(channel)).toMatch(/^HTTP\/1\.1 200 OK.*GET by ::ffff:10\.0\.0\.2$/s)
      web.close()
      await once(web, 'close')
    }))

  it('refuse a wrong password', () =>
    withTwoStacks(async (here, there) => {
      const sshd = new Server(
        { hostKeys: [hostKey] },
        (peer) => void peer.on('authentication', (a) => a.reject()).on('error', () => undefined),
      )
      const server = there.net.createServer((socket) => sshd.injectSocket(socket as never)).listen(22)
      await once(server, 'listening')
      const client = new Client()
      client.connect({ sock: here.net.connect(22, '10.0.0.2'), username: 'me', password: 'wrong' })
      expect((await once(client, 'error'))[0]).toMatchObject({ level: 'client-authentication' })
      server.close()
      await once(server, 'close')
    }))
})
