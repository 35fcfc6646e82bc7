/** Whatever the entry points export says in its own file what it is, for those who see it in an editor only. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')

/** Names that `path` has from elsewhere, with the files that they come from. */
function had(text: string, path: string): { name: string; file: string }[] {
  const lists = text.matchAll(/^(?:export|import) (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)
  return [...lists].flatMap(([, names, from]) =>
    names
      .split(',')
      .map((name) => /^\s*(?:type )?(\w+)/.exec(name)?.[1])
      .filter((name) => name !== undefined)
      .map((name) => ({ name, file: posix.join(posix.dirname(path), from) })),
  )
}

/** The text of the comment before the declaration of `name`; empty: there is none. */
function comment(name: string, file: string): string {
  const text = read(file)
  const found = new RegExp(
    `^export (?:declare |abstract |async )*(?:class|interface|type|function|const|enum) ${name}\\b`,
    'm',
  ).exec(text)
  if (found !== null)
    return (
      /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n+$/
        .exec(text.slice(0, found.index))?.[1]
        .replace(/[\s*]+/g, ' ')
        .trim() ?? ''
    )
  const further = had(text, file).find((other) => other.name === name)
  return further === undefined ? '' : comment(name, further.file)
}

describe.each(['src/index.ts', 'src/core.ts', 'src/sim.ts'])('what %s exports', (entry) => {
  it('says what it is', () => {
    const exported = had(read(entry), entry)
    expect(exported.length).toBeGreaterThan(15)
    expect(
      exported.filter(({ name, file }) => comment(name, file).length < 10).map(({ name, file }) => `${name} of ${file}`),
    ).toEqual([])
  })
})
