/** Programs and packages that are not changed, on a stack: `stack.register` and `--import tapstack/register`, each in a process of its own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { readSettings } from '../../src/node/register-settings.ts'
import { createStack } from '../../src/node/stack.ts'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

async function run(args: string[]): Promise<string> {
  const options = { env: { ...process.env, NODE_OPTIONS: '' }, timeout: 15_000 }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], options)
  expect(stderr).toBe('')
  return stdout
}

describe('stack.register', () => {
  it('gives a package, a path or the whole program the modules of the stack, and takes them back', async () => {
    const told = JSON.parse(await run([at('../fixtures/register/chosen.ts')]))
    expect(told).toEqual({
      before: 'theirs, theirs, theirs',
      cjs: 'our net, our http, our net',
      echoCjs: 'hello',
      pageCjs: 'you asked for /x',
      connections: 2,
      notChosen: 'theirs, theirs, theirs, theirs',
      self: 'theirs',
      after: 'theirs, theirs, theirs',
      esm: 'our net, theirs, our dns/promises, our net',
      echoEsm: 'hello',
      all: 'our net, our http, our net; our net, our dgram, our dns/promises, our net; our https; theirs',
      closed: 'theirs, theirs, theirs',
      node: 'function',
    })
  })

  it('is for a program that knows nothing of it', async () => {
    const args = ['--import', at('../../src/register.ts'), at('../fixtures/register/program.mjs')]
    expect(await run(args)).toBe('one two 127.0.0.1 true function\n')
  })

  it('refuses what it does not understand', async () => {
    await using stack = createStack()
    const code = (code: string): object => expect.objectContaining({ code })
    expect(() => stack.register({ modules: ['fs' as 'net'] })).toThrow(code('ERR_INVALID_ARG_VALUE'))
    expect(() => stack.register({ match: 'text' as unknown as RegExp })).toThrow(code('ERR_INVALID_ARG_TYPE'))
    expect(() => stack.register(null as unknown as string)).toThrow(code('ERR_INVALID_ARG_TYPE'))
  })
})

describe('settings of tapstack/register', () => {
  it('come from the environment, and the query is the stronger', () => {
    const env = {
      TAPSTACK_LINK: 'tap://tap0',
      TAPSTACK_ADDRESS: '10.0.0.2/24, fd00::2/64',
      TAPSTACK_DHCP: '0',
      TAPSTACK_MODULES: 'net',
    }
    const query = new URLSearchParams('link=tap://tap1&gateway=10.0.0.1&slaac=1&packages=a,@b/c&dns=10.0.0.1')
    expect(readSettings(env, query)).toEqual({
      link: 'tap://tap1',
      attach: { addresses: ['10.0.0.2/24', 'fd00::2/64'], gateway: ['10.0.0.1'], slaac: true },
      dns: ['10.0.0.1'],
      register: { packages: ['a', '@b/c'], modules: ['net'] },
    })
    expect(readSettings({}, new URLSearchParams())).toEqual({ link: '', attach: { addresses: [] }, dns: [], register: {} })
    expect(() => readSettings({}, new URLSearchParams('adress=10.0.0.2'))).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    )
  })
})
