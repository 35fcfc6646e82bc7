/** Clients from npm on sockets of a stack, unchanged, and Debian's daemons on the host's side of the tap: ssh2, ioredis, mqtt. */
import { type EventEmitter, once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis'
import { MqttClient } from 'mqtt'
import ssh2 from 'ssh2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../../support/programs.ts'
import { expectNothingOpen, HOST, Lab, noise, OURS, quietKernel, run, sh, sha256, until } from './lab.ts'
import { run as start } from './program.ts'
import { ended, registered } from './registered.ts'

const TEN_MB = noise(10_000_000, 41)
let lab: Lab

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open()
})

afterEach(() => expectNothingOpen(lab.stack))

afterAll(() => lab.close())

const hostKey = ssh2.utils.generateKeyPairSync('ed25519')
const userKey = ssh2.utils.generateKeyPairSync('ed25519')

function privateFile(name: string, content: string): string {
  const path = lab.file(name, Buffer.from(content))
  sh(`chmod 600 ${path}`)
  return path
}

/** sshd on the host, in a /run of its own, that lets the user's key in. */
async function startSshd(): Promise<void> {
  const config = [
    `ListenAddress ${HOST}:22`,
    `HostKey ${privateFile('host_key', hostKey.private)}`,
    `AuthorizedKeysFile ${privateFile('authorized_keys', userKey.public)}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    `PidFile none`,
    'Subsystem sftp internal-sftp',
  ]
  const path = lab.file('sshd_config', Buffer.from(`${config.join('\n')}\n`))
  const command = `mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec ${findProgram('sshd')} -D -e -f ${path}`
  await start('unshare', ['-m', 'sh', '-ec', command]).until(/Server listening/)
}

/** A redis-server with nothing in it. */
async function startRedis(): Promise<void> {
  const options = ['--port', '6379', '--bind', HOST, '--protected-mode', 'no', '--save', '', '--dir', lab.dir]
  await start(findProgram('redis-server')!, options).until(/Ready to accept connections/)
}

async function startMosquitto(): Promise<void> {
  const config = `listener 1883 ${HOST}\nallow_anonymous true\npersistence false\nuser root\nmax_queued_messages 0\nlog_type all\n`
  const path = lab.file('mosquitto.conf', Buffer.from(config))
  await start(findProgram('mosquitto')!, ['-v', '-c', path]).until(/mosquitto version .* running/)
}

describe("ssh2 and OpenSSH's sshd", () => {
  const { Client, Server } = ssh2

  /** A client that has logged in. */
  async function login(): Promise<ssh2.Client> {
    await startSshd()
    const client = new Client()
    client.connect({ sock: lab.stack.net.connect(22, HOST), username: 'root', privateKey: userKey.private })
    await once(client, 'ready')
    return client
  }

  async function logout(client: ssh2.Client): Promise<void> {
    const closed = once(client, 'close')
    client.end()
    await closed
  }

  const exec = (client: ssh2.Client, command: string): Promise<ssh2.ClientChannel> =>
    new Promise((resolve, reject) => client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel))))

  it('runs commands: 10 MB there and back, standard error and exit status', async () => {
    const client = await login()
    const channel = await exec(client, 'cat; echo done >&2; exit 7')
    const ended = once(channel, 'exit')
    channel.end(TEN_MB)
    const [back, said] = await Promise.all([buffer(channel), text(channel.stderr)])
    expect([sha256(back), said, (await ended)[0]]).toEqual([sha256(TEN_MB), 'done\n', 7])
    await logout(client)
  })

  it('puts 10 MB by sftp and gets them back', async () => {
    const client = await login()
    const sftp = await new Promise<ssh2.SFTPWrapper>((resolve, reject) =>
      client.sftp((error, made) => (error ? reject(error) : resolve(made))),
    )
    const path = lab.file('sent')
    const write = sftp.createWriteStream(path)
    write.end(TEN_MB)
    await once(write, 'close')
    expect(await text(await exec(client, `sha256sum < ${path}`))).toBe(`${sha256(TEN_MB)}  -\n`)
    expect(sha256(await buffer(sftp.createReadStream(path)))).toBe(sha256(TEN_MB))
    await logout(client)
  })

  it("is a server to OpenSSH's ssh", async () => {
    const sshd = new Server({ hostKeys: [hostKey.private] }, (peer) => {
      peer.on('authentication', (asked) => (asked.method === 'publickey' ? asked.accept() : asked.reject(['publickey'])))
      peer.on('session', (accept) => {
        accept().on('exec', (accepted) => {
          const channel = accepted()
          channel.pipe(channel, { end: false })
          channel.on('end', () => {
            channel.exit(3)
            channel.end()
          })
        })
      })
    })
    const server = lab.stack.net.createServer((socket) => sshd.injectSocket(socket as never)).listen(22)
    await once(server, 'listening')
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'IdentitiesOnly=yes',
      'BatchMode=yes',
      'LogLevel=ERROR',
    ]
    const key = privateFile('user_key', userKey.private)
    const ssh = `exec ssh -F none -i ${key} ${options.map((o) => `-o ${o}`).join(' ')} me@${OURS} anything`
    const ran = await run(ssh, { input: TEN_MB })
    expect([ran.code, sha256(ran.bytes)], ran.err).toEqual([3, sha256(TEN_MB)])
    server.close()
    await once(server, 'close')
  })
})

describe('ioredis and redis-server', () => {
  class Connector extends AbstractConnector {
    constructor() {
      super(1000)
    }

    async connect(): Promise<Redis['stream']> {
      this.stream = lab.stack.net.connect(6379, HOST) as never
      return this.stream
    }
  }

  /** A server with nothing in it, and what makes clients. */
  async function redis(): Promise<(options?: RedisOptions) => Redis> {
    await startRedis()
    return (more) => new Redis({ Connector: Connector as never, ...more })
  }

  it('stores and loads 10 MB, pipelines ten thousand commands, plays transactions and scripts', async () => {
    const client = (await redis())()
    await client.set('big', TEN_MB)
    expect(sha256((await client.getBuffer('big'))!)).toBe(sha256(TEN_MB))
    const pipeline = client.pipeline()
    for (let i = 0; i < 10_000; i++) pipeline.incr('counter')
    const results = (await pipeline.exec())!
    expect(results.map(([, n]) => n)).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1))
    expect(await client.multi().lpush('list', 'a', 'b').lrange('list', 0, -1).exec()).toEqual([
      [null, 2],
      [null, ['b', 'a']],
    ])
    expect(await client.eval('return redis.sha1hex(ARGV[1])', 0, 'abc')).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
    await expect(client.incr('list')).rejects.toThrow('WRONGTYPE')
    await client.quit()
  })

  it('subscribes, waits for what another pushes, and reconnects when it is cut off', async () => {
    const connect = await redis()
    const [client, other] = [connect(), connect({ retryStrategy: () => 10 })]
    await other.subscribe('news')
    const news = once(other, 'message')
    expect(await client.publish('news', 'hello')).toBe(1)
    expect(await news).toEqual(['news', 'hello'])
    const waiting = connect()
    const popped = waiting.blpop('queue', 5)
    await client.rpush('queue', 'job')
    expect(await popped).toEqual(['queue', 'job'])
    const again = once(other, 'ready')
    await client.client('KILL', 'TYPE', 'pubsub')
    await again
    await until(() => other.status === 'ready')
    for (let told = 0; told === 0; ) told = await client.publish('news', 'again')
    await Promise.all([client.quit(), other.quit(), waiting.quit()])
  })
})

describe('mqtt and mosquitto', () => {
  it('publishes 5 MB and three hundred small ones, by every quality of service', async () => {
    await startMosquitto()
    const connect = (): MqttClient => new MqttClient(() => lab.stack.net.connect(1883, HOST) as never, { protocolVersion: 5 })
    const [publisher, subscriber] = [connect(), connect()]
    const heard: Buffer[] = []
    subscriber.on('message', (_topic, payload) => void heard.push(payload))
    await subscriber.subscribeAsync('a/+', { qos: 2 })
    const big = TEN_MB.subarray(0, 5_000_000)
    await publisher.publishAsync('a/big', big, { qos: 2 })
    const small = Array.from({ length: 300 }, (_, i) => `message ${i}`)
    // One after the other: mosquitto ends a client that has more than twenty under way.
    for (const [i, payload] of small.entries()) await publisher.publishAsync('a/small', payload, { qos: (i % 3) as 0 | 1 | 2 })
    while (heard.length < 301) await once(subscriber as unknown as EventEmitter, 'message')
    expect(sha256(heard.find((payload) => payload.length > 100)!)).toBe(sha256(big))
    expect(new Set(heard.filter((payload) => payload.length < 100).map(String))).toEqual(new Set(small))
    await Promise.all([publisher.endAsync(), subscriber.endAsync()])
  })
})

describe('a program that knows nothing of a stack', () => {
  it('is a client of all three by tapstack/register, and ends by itself', async () => {
    await Promise.all([startSshd(), startRedis(), startMosquitto()])
    const { code, said } = await ended(registered('daemons.cjs', HOST, privateFile('user_key', userKey.private)))
    const [told, proof] = said as [Record<string, string>, object]
    expect([code, told, proof]).toEqual([
      0,
      { sent: told.sent, redis: told.sent, mqtt: told.sent, ssh2: told.sent },
      { left: [], theirs: [], active: 3, passive: 0 },
    ])
  })
})
