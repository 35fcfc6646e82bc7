import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const url = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href)

/** Runs a script with two stacks, `left` (10.0.0.1) and `right` (10.0.0.2), in a process of its own; kills it after 15 s. */
function script(body: string): { out: string[]; err: string; ended: boolean } {
  const text = `
    import { createPipe } from ${url('link/pipe.ts')}
    import { createStack } from ${url('node/stack.ts')}
    const [a, b] = createPipe()
    const left = createStack(), right = createStack()
    left.attach(a, { addresses: ['10.0.0.1/24'] })
    right.attach(b, { addresses: ['10.0.0.2/24'] })
    process.on('exit', () => console.log('exit'))
    const log = (...a) => console.log(...a)
    ${body}`
  const args = ['--import', 'tsx', '--input-type=module', '-e', text]
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 15_000 })
  return { out: run.stdout.trim().split('\n'), err: run.stderr, ended: run.signal === null }
}

/** Each costs a process or two: by hand only those that say most (held.test.ts counts the rest). */
const whole = it.runIf(process.env.CI !== undefined)

describe('what keeps a process alive', () => {
  it('a stack that has nothing to do does not', () => {
    expect(script(`log('ready')`)).toEqual({ out: ['ready', 'exit'], err: '', ended: true })
  })

  whole('an address that is probed does, until it is ready', () => {
    const run = script(`
      await left.interfaces[0].addAddress('10.0.0.9/24', { probe: true })
      log('ready')
    `)
    expect(run).toEqual({ out: ['ready', 'exit'], err: '', ended: true })
  })

  it('a listening server does, an unref’d one does not', () => {
    const waits = script(`
      right.net.createServer().listen(80, () => log('listening'))
      setTimeout(() => { log('alive'); process.exit() }, 100).unref()
    `)
    expect(waits).toMatchObject({ out: ['listening', 'alive', 'exit'], ended: true })
    const leaves = script(`right.net.createServer().listen(80, () => log('listening')).unref()`)
    expect(leaves).toMatchObject({ out: ['listening', 'exit'], ended: true })
  })

  whole('a closed server, a bound and closed datagram socket do not', () => {
    const run = script(`
      const s = right.net.createServer().listen(80, () => s.close(() => log('server closed')))
      const d = right.dgram.createSocket('udp4').bind(7, () => d.close(() => log('socket closed')))
    `)
    expect(run).toMatchObject({ ended: true, err: '' })
    expect(run.out.sort()).toEqual(['exit', 'server closed', 'socket closed'])
  })

  it('a socket that reads does; what was written arrives although nobody waits for it', () => {
    const run = script(`
      const server = right.net.createServer((s) => {
        let n = 0
        s.on('data', (d) => { n += d.length })
        s.on('end', () => { log('got', n); server.close() })
      }).listen(80, () => {
        const c = left.net.connect(80, '10.0.0.2')
        c.write(Buffer.alloc(3_000_000))
        c.end()
      })
    `)
    expect(run).toEqual({ out: ['got 3000000', 'exit'], err: '', ended: true })
  })

  whole('an unref’d pair does not', () => {
    const run = script(`
      const server = right.net.createServer((s) => { s.unref(); log('connection') }).listen(80).unref()
      const c = left.net.connect(80, '10.0.0.2', () => { log('connect'); c.unref() })
      c.resume()
    `)
    expect(run).toMatchObject({ ended: true, err: '' })
    expect(run.out).toContain('exit')
  })

  whole('closing the stacks lets go of everything', () => {
    const run = script(`
      right.net.createServer((s) => s.on('error', () => {})).listen(80, async () => {
        const c = left.net.connect(80, '10.0.0.2')
        c.on('error', () => {})
        c.on('connect', async () => {
          await left.close()
          await right.close()
          log('closed')
        })
      })
      right.dgram.createSocket('udp4').bind(9)
    `)
    expect(run).toEqual({ out: ['closed', 'exit'], err: '', ended: true })
  })
})
