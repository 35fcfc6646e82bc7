/** Programs that know nothing of a stack, by `--import tapstack/register` on a tap of their own. */
import { fileURLToPath } from 'node:url'
import { type Program, run } from './program.ts'

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

/** The address of the program's stack. */
export const THEIRS = '10.0.1.2'

/** Starts one of `fixtures/register/libraries`, whose way to everything is the host, over tap1. */
export function registered(program: string, ...args: string[]): Program {
  const imports = [at('../src/register.ts'), at('fixtures/register/libraries/proof.ts')].flatMap((path) => ['--import', path])
  return run(process.execPath, ['--import', 'tsx', ...imports, at(`fixtures/register/libraries/${program}`), ...args], {
    TAPSTACK_LINK: 'tap://tap1?host=10.0.1.1/24',
    TAPSTACK_ADDRESS: `${THEIRS}/24`,
    TAPSTACK_GATEWAY: '10.0.1.1',
    NODE_OPTIONS: '',
  })
}

export interface Told {
  code: number | null
  /** What the program said, and what `proof.ts` said when it had ended. */
  said: unknown[]
}

/** Waits for a program to end by itself. */
export async function ended(program: Program): Promise<Told> {
  const code = await program.ended
  const lines = program.said().trim().split('\n')
  return { code, said: lines.map((line) => (line.startsWith('{') ? JSON.parse(line) : line)) }
}
