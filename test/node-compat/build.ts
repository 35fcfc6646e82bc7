/** Builds the preload, with the whole stack in it, into one CommonJS file. */
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

/** Returns the path of the file in `outDir`. */
export async function buildPreload(outDir: string): Promise<string> {
  await build({
    entry: { preload: fileURLToPath(new URL('preload.ts', import.meta.url)) },
    outDir,
    format: 'cjs',
    target: 'node20',
    dts: false,
    config: false,
    silent: true,
    sourcemap: 'inline',
    shims: true,
    noExternal: [/^@noble\//, 'buffer-layout'],
    outExtension: () => ({ js: '.cjs' }),
  })
  return `${outDir}/preload.cjs`
}
