/** The programs that are measured: bundled and compiled, because what is measured runs as built code, not through a loader. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { build } from 'tsup'

/** Bundles TypeScript programs into bench/build, by name. */
export async function bundle(entry: Record<string, string>): Promise<void> {
  await build({
    entry,
    outDir: 'bench/build',
    format: 'esm',
    target: 'node20',
    dts: false,
    config: false,
    silent: true,
    sourcemap: true,
    outExtension: () => ({ js: '.js' }),
  })
}

function isStale(made: string, from: string): boolean {
  return !existsSync(made) || statSync(made).mtimeMs < statSync(from).mtimeMs
}

/** The client of the kernel's sockets, bench/tcpbench, if it is older than its source. Throws what the compiler says. */
export function compile(): void {
  if (!isStale('bench/tcpbench', 'bench/tcpbench.c')) return
  const cc = spawnSync('cc', ['-O2', '-Wall', '-Wextra', '-o', 'bench/tcpbench', 'bench/tcpbench.c'], { encoding: 'utf8' })
  if (cc.status !== 0) throw new Error(`cc failed:\n${cc.stderr}`)
}
