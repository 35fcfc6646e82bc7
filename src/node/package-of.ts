/** Which package a file belongs to. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const INSTALLED = /^.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/s

/** Names that directories were found to belong to; a program has few of them. */
const known = new Map<string, string>()

/** The name: of the innermost `node_modules/name`, else what the nearest package.json says; empty when there is none. */
export function packageOf(path: string): string {
  const installed = INSTALLED.exec(path)
  if (installed !== null && !installed[1].startsWith('.')) return installed[1].replace('\\', '/')
  return ownerOf(dirname(path))
}

function ownerOf(directory: string): string {
  const before = known.get(directory)
  if (before !== undefined) return before
  const parent = dirname(directory)
  const name = nameIn(directory) ?? (parent === directory ? '' : ownerOf(parent))
  known.set(directory, name)
  return name
}

function nameIn(directory: string): string | null {
  try {
    const { name } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: unknown }
    // One that has no name only says what kind its files are.
    return typeof name === 'string' ? name : null
  } catch {
    return null
  }
}
