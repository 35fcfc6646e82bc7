/** DESIGN.md is a map: where it goes down to files, it names every one, and none that is not there. */
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const text = readFileSync(new URL('DESIGN.md', root), 'utf8')

/** The part under a heading, up to the next of the same rank. */
function section(title: string): string {
  return text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? ''
}

describe('DESIGN.md', () => {
  it.each([
    ['TCP', 'src/tcp/'],
    ['Scripts', 'src/sim/script/'],
  ])('%s: names the files of %s, each once in its table', (title, folder) => {
    const rows = section(title)
      .split('\n')
      .filter((line) => line.startsWith('|'))
    const named = rows.flatMap((line) => [...line.matchAll(/`([\w-]+\.ts)`/g)].map((match) => match[1]))
    expect(named.sort()).toEqual(readdirSync(new URL(folder, root)).sort())
  })
})
