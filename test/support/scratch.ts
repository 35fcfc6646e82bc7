/** Folders of tests below the machine's own for such things. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished, TestRunner } from 'vitest'

/**
 * A new, empty folder that goes with the test that asks, or, asked for at the top of a file or of a `describe`, with all tests there: whatever
 * becomes of them. Not for `beforeAll`, which is too late to say what shall be done at the end.
 */
export function scratchFolder(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `tapstack-${name}-`))
  const remove = (): void => rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  if (TestRunner.getCurrentTest() === undefined) afterAll(remove)
  else onTestFinished(remove)
  return path
}
