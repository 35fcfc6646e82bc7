/** The modules of Node that are exchanged, and the files that are about them. */
export const MODULES = ['net', 'dgram', 'http', 'https', 'tls', 'http2', 'dns'] as const
export type ModuleName = (typeof MODULES)[number]

/** The module that a test file is about, by its name; null: none of ours. */
export function moduleOf(file: string): ModuleName | null {
  const name = /^test-([a-z0-9]+)[-.].*m?js$/.exec(file)?.[1]
  return MODULES.find((one) => one === name) ?? null
}
