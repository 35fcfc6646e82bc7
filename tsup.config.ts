import { defineConfig } from 'tsup'

const entry = { index: 'src/index.ts', core: 'src/core.ts', sim: 'src/sim.ts' }

// What the entries have in common is in chunks that they share: one `NetError`, one `Stack`, whichever entry it is imported from. A chunk
// holds what is reachable from the same entries, so nothing of Node gets into those of core and sim (test/package/check.ts looks).
export default defineConfig([
  // The command as well (the shebang of its source stays), and what `--import` takes.
  {
    entry: { ...entry, cli: 'src/cli/main.ts', register: 'src/register.ts' },
    format: 'esm',
    target: 'node20',
    splitting: true,
    dts: { entry: { ...entry, register: 'src/register.ts' } },
  },
  { entry, format: 'cjs', target: 'node20', splitting: true, treeshake: true, dts: true },
])
