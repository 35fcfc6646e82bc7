import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    alias: [
      { find: /^tapstack$/, replacement: new URL('./src/index.ts', import.meta.url).pathname },
      { find: /^tapstack\/core$/, replacement: new URL('./src/core.ts', import.meta.url).pathname },
      { find: /^tapstack\/sim$/, replacement: new URL('./src/sim.ts', import.meta.url).pathname },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Forks, not threads: some tests need a main thread (libuv's default loop), and a crash takes only its file along.
    pool: 'forks',
    // Every core: the default leaves one idle, which is half of a small machine.
    maxWorkers: '100%',
    testTimeout: 20_000,
  },
})
