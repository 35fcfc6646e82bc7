/** pg on sockets of a stack, unchanged, and PostgreSQL on the host's side of the tap, in the clear and by TLS. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findProgram } from '../../support/programs.ts'
import { TEST_CERT, TEST_KEY } from '../../support/test-certificate.ts'
import { expectNothingOpen, HOST, Lab, noise, quietKernel, type Served, serve, sh, sha256 } from './lab.ts'
import { ended, registered } from './registered.ts'

let lab: Lab
let server: Served

/** `command` as the user that PostgreSQL runs as: it refuses to run as root. */
const asPostgres = (program: string): string[] => {
  const [uid, gid] = ['-u', '-g'].map((which) => sh(`id ${which} postgres`).trim())
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', findProgram(program)!]
}

beforeAll(async () => {
  quietKernel()
  lab = await Lab.open()
  lab.file('server.key', Buffer.from(TEST_KEY))
  lab.file('server.crt', Buffer.from(TEST_CERT))
  sh(`chown -R postgres ${lab.dir}; chmod 600 ${lab.file('server.key')}`)
  const data = lab.file('data')
  sh(`${asPostgres('initdb').join(' ')} -D ${data} -A trust --no-sync -E UTF8 --locale=C`)
  sh(`echo 'host all all 10.0.0.0/16 trust' >> ${data}/pg_hba.conf`)
  const settings = {
    listen_addresses: HOST,
    unix_socket_directories: '',
    fsync: 'off',
    ssl: 'on',
    ssl_cert_file: lab.file('server.crt'),
    ssl_key_file: lab.file('server.key'),
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command, ...args] = asPostgres('postgres')
  server = await serve(command, [...args, '-D', data, ...options], /ready to accept connections/)
}, 60_000)

afterEach(() => expectNothingOpen(lab.stack))

afterAll(async () => {
  await server.stop('SIGINT')
  await lab.close()
})

describe.each([
  ['in the clear', undefined],
  ['by TLS', { ca: TEST_CERT, servername: 'localhost' }],
])('pg and PostgreSQL, %s', (_, ssl) => {
  const config = (): pg.ClientConfig => ({
    host: HOST,
    user: 'postgres',
    database: 'postgres',
    stream: () => lab.stack.net.Socket() as never,
    ssl,
  })

  async function withClient(work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client(config())
    await client.connect()
    await work(client)
    await client.end()
  }

  it('asks, with parameters, and hears of errors', () =>
    withClient(async (client) => {
      const used = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
      expect(used.rows).toEqual([{ ssl: ssl !== undefined }])
      const { rows } = await client.query('select $1::int + 1 as sum, $2::text as t, $3::jsonb as j', [41, 'ü', { a: [1] }])
      expect(rows).toEqual([{ sum: 42, t: 'ü', j: { a: [1] } }])
      await expect(client.query('select * from nowhere')).rejects.toMatchObject({ code: '42P01' })
      expect((await client.query('select inet_client_addr()::text as a')).rows).toEqual([{ a: '10.0.0.2/32' }])
    }))

  it('takes 200,000 rows, and stores and loads 10 MB', () =>
    withClient(async (client) => {
      const { rows } = await client.query('select i, md5(i::text) as h from generate_series(1, 200000) as i')
      const whole = createHash('md5')
      for (const row of rows) whole.update(row.h)
      const theirs = await client.query(
        "select md5(string_agg(md5(i::text), '' order by i)) as all from generate_series(1, 200000) as i",
      )
      expect([rows.length, whole.digest('hex')]).toEqual([200_000, theirs.rows[0].all])
      const bytes = noise(10_000_000, 43)
      await client.query('create temp table t (b bytea)')
      await client.query('insert into t values ($1)', [bytes])
      const kept = await client.query("select b, encode(sha256(b), 'hex') as h from t")
      expect([kept.rows[0].h, sha256(kept.rows[0].b)]).toEqual([sha256(bytes), sha256(bytes)])
    }))

  it('hears notifications, and is told when the server ends a session', () =>
    withClient(async (client) => {
      const doomed = new pg.Client(config())
      await doomed.connect()
      await doomed.query('listen news')
      const news = once(doomed, 'notification')
      await client.query("notify news, 'hello'")
      expect((await news)[0]).toMatchObject({ channel: 'news', payload: 'hello' })
      const { rows } = await doomed.query('select pg_backend_pid() as pid')
      const errors: Error[] = []
      doomed.on('error', (error) => errors.push(error))
      const ended = new Promise((resolve) => doomed.once('end', () => resolve(undefined)))
      await client.query('select pg_terminate_backend($1)', [rows[0].pid])
      await ended
      expect(errors[0]).toMatchObject({ code: '57P01' })
    }))

  it('is a pool of ten that answers a thousand questions', async () => {
    const pool = new pg.Pool({ ...config(), max: 10 })
    const asked = Array.from({ length: 1000 }, (_, i) => i)
    const told = await Promise.all(asked.map((i) => pool.query('select $1::int as i', [i])))
    expect(told.map(({ rows }) => rows[0].i)).toEqual(asked)
    expect(pool.totalCount).toBe(10)
    await pool.end()
  })
})

it('a program that knows nothing of a stack asks PostgreSQL by tapstack/register, and ends by itself', async () => {
  const { code, said } = await ended(registered('postgres.mjs', HOST))
  const [told, proof] = said as [object, { active: number }]
  expect([code, told]).toEqual([0, { same: true, sums: [2, 4, 6, 8, 10] }])
  expect(proof).toEqual({ left: [], theirs: [], active: expect.any(Number), passive: 0 })
  expect(proof.active).toBeGreaterThanOrEqual(1)
})
