/**
 * Runs a file of test/e2e/inside/ in a network namespace of its own, and repeats its results here, test by test. The file is an
 * ordinary vitest file, so that suites like netif-conformance.ts run there as they are. What it leaves out is left out here, and said; under CI it
 * fails, as in root.ts.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { namespacePrefix } from './root.ts'

interface Report {
  testResults: { message: string; assertionResults: { fullName: string; status: string; failureMessages: string[] }[] }[]
}

/** What a report of vitest's calls tests that did not run. */
const LEFT_OUT = ['skipped', 'pending', 'todo', 'disabled']

/** Defines one test for each in `file` (a name in test/e2e/inside/). Call it within `describeTap`. */
export function insideNamespace(file: string): void {
  if (namespacePrefix === null) return
  const dir = mkdtempSync(join(tmpdir(), 'tapstack-inside-'))
  const output = join(dir, 'report.json')
  const [command, ...rest] = namespacePrefix
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/e2e/inside/vitest.config.ts', `inside/${file}`]
  const run = spawnSync(
    command,
    [...rest, process.execPath, ...vitest, '--reporter=default', '--reporter=json', `--outputFile=${output}`],
    {
      encoding: 'utf8',
      // The inner run is a run of its own, not a worker of this one.
      env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST'))),
    },
  )
  const said = `${run.stdout}${run.stderr}`
  let results: Report['testResults'] = []
  try {
    results = (JSON.parse(readFileSync(output, 'utf8')) as Report).testResults
  } catch {
    // Told by the test below.
  }
  rmSync(dir, { recursive: true, force: true })
  it(`${file} ran`, () => {
    expect(results.length, said).toBe(1)
    expect(results[0].assertionResults.length, `${results[0].message}\n${said}`).toBeGreaterThan(0)
    expect(run.status === 0 || results[0].assertionResults.some((t) => t.status === 'failed'), said).toBe(true)
  })
  for (const { fullName, status, failureMessages } of results.flatMap((r) => r.assertionResults)) {
    const isLeftOut = LEFT_OUT.includes(status) && process.env.CI !== 'true'
    if (isLeftOut) console.warn(`\n*** NOT TESTED: ${file}: ${fullName}: it leaves itself out here\n`)
    it.skipIf(isLeftOut)(fullName, () => {
      expect(status, failureMessages.join('\n')).toBe('passed')
    })
  }
}
