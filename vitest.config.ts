/**
 * Test files are loaded by Node itself, with tsx, not by Vite's module runner. The runner makes of every use of an import an access to a property, and
 * the simulations, which are most of the suite's time, take twice as long by it. Nothing here uses what Vite could do besides; `tapstack` is
 * found by the paths of tsconfig.json.
 *
 * And the files of a worker share its modules, so that the house is read once for each worker, not for each of 130 files. That asks of the tests
 * what is asked of the house: no state in modules.
 */
import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Forks, not threads: some tests need a main thread (libuv's default loop).
    pool: 'forks',
    isolate: false,
    execArgv: ['--import', 'tsx'],
    experimental: { viteModuleRunner: false, nodeLoader: false },
    // Every core: the default leaves one idle, which is half of a small machine. By hand one more, for what waits for processes and sockets; CI's
    // tests with real tools have the machine to themselves.
    maxWorkers: availableParallelism() + (process.env.CI === undefined ? 1 : 0),
    testTimeout: 20_000,
  },
})
