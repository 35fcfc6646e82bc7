/** Programs of others that tests start. Where one is missing the tests say so loudly and are left out; under CI they fail instead. */
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const POSTGRESQL = '/usr/lib/postgresql'

/** Where Debian has programs: daemons are often in no PATH but root's, PostgreSQL's in a folder for each version. */
const folders = (): string[] => [
  ...(process.env.PATH ?? '').split(':'),
  '/usr/sbin',
  ...(existsSync(POSTGRESQL) ? readdirSync(POSTGRESQL).map((version) => join(POSTGRESQL, version, 'bin')) : []),
]

/** The path of a program; null when it is not installed. */
export function findProgram(name: string): string | null {
  for (const folder of folders()) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  return null
}

/** `define`s tests that need programs of Debian's. */
export function withPrograms(name: string, programs: readonly string[], define: () => void): void {
  const missing = programs.filter((program) => findProgram(program) === null)
  if (missing.length === 0) define()
  else if (process.env.CI === 'true') {
    describe(name, () => {
      it('needs programs that .ci/run installs', () => {
        expect(missing).toEqual([])
      })
    })
  } else console.warn(`\n*** NOT TESTED: ${name}: ${missing.join(', ')} missing\n`)
}
