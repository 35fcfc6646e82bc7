/** What README.md, CONTRIBUTING.md and DESIGN.md name is there, and README.md leads to all that there is. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/run.ts'

const root = new URL('../../', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, root), 'utf8')
const list = (folder: string, ending: string): string[] =>
  readdirSync(new URL(folder, root)).filter((name) => name.endsWith(ending))
const readme = read('README.md')

/** Targets of links within the repository. */
const links = (text: string): string[] => [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map((match) => match[1])

describe.each(['README.md', 'CONTRIBUTING.md', 'DESIGN.md', 'CHANGELOG.md'])('%s', (name) => {
  it('links to what is there', () => {
    expect(links(read(name)).filter((path) => !existsSync(new URL(path, root)))).toEqual([])
  })

  it('names files by paths that exist', () => {
    const paths = [...read(name).matchAll(/`((?:src|test|docs|bench|examples)\/[\w./-]*)`/g)].map((match) => match[1])
    expect(paths.filter((path) => !existsSync(new URL(path, root)))).toEqual([])
  })

  it('names scripts of package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = [...read(name).matchAll(/\bnpm run ([\w:-]+)/g)].map((match) => match[1])
    expect(named.filter((script) => !(script in scripts))).toEqual([])
  })
})

describe('README.md', () => {
  it('leads to every page of the docs', () => {
    expect(list('docs/', '.md').filter((page) => !links(readme).includes(`docs/${page}`))).toEqual([])
  })

  it('leads to every example', () => {
    const examples = [...list('examples/', '.ts'), ...list('examples/', '.pkt')]
    expect(examples.filter((file) => !links(readme).includes(`examples/${file}`))).toEqual([])
  })

  it('has every command in its table, and none that there will be', () => {
    const [, now, later] = /^\| command \|(.*)\|(.*)\|$/m.exec(readme)!
    const names = (cell: string): string[] => [...cell.matchAll(/`([\w-]+)`/g)].map((match) => match[1])
    const commands = COMMANDS.map((command) => command.name)
    expect(names(now).sort()).toEqual([...commands].sort())
    expect(names(later).filter((name) => commands.includes(name))).toEqual([])
  })
})
