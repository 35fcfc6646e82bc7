/** Each module of Node's shape has a page, which says what is the same and what differs; its example runs, and prints what it says that it prints. */
import { existsSync, readFileSync } from 'node:fs'
import { format } from 'node:util'
import { describe, expect, it } from 'vitest'
import { TEST_CERT, TEST_KEY } from '../support/test-certificate.ts'

const docs = new URL('../../docs/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(name, docs), 'utf8')
const PAGES = ['net', 'dgram', 'dns', 'http', 'https', 'http2', 'tls', 'fetch', 'web']

/** What the examples read of files. */
const files = { readFileSync: (name: string) => ({ 'key.pem': TEST_KEY, 'cert.pem': TEST_CERT })[name] }

/** An `import { a } from 'b'` as what a function can do. */
const load = (name: string): Promise<unknown> | object =>
  name === 'node:fs' ? files : name === 'tapstack' ? import('../../src/index.ts') : import(name)

/** Runs an example; gives what it prints. */
async function printed(example: string): Promise<string[]> {
  const lines: string[] = []
  const log = (...what: unknown[]): void => void lines.push(format(...what).trim())
  const text = example.replace(/^import (\{.*\}) from '(.*)'$/gm, "const $1 = await load('$2')")
  await new Function('load', 'console', `return (async () => { ${text}\n })()`)(load, { log })
  return lines
}

describe('docs', () => {
  it.each(PAGES)('%s.md: its example does what it says', async (page) => {
    const examples = [...read(`${page}.md`).matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1])
    const example = examples.find((text) => text.includes("from 'tapstack'"))
    expect(example).toBeDefined()
    const said = [...example!.matchAll(/console\.log\(.*\) *\/\/ (.*)$/gm)].map((match) => match[1])
    expect(said.length).toBeGreaterThan(0)
    // In a loop one line of the example prints several.
    expect((await printed(example!)).map((line) => line.replace(/\n /g, ' ')).join(', ')).toBe(said.join(', '))
  })

  it.each(PAGES)('%s.md: says what is the same and what differs, if it is Node’s', (page) => {
    if (page !== 'web') expect(read(`${page}.md`)).toMatch(/(## |\*\*)The same[\s\S]*(## |\*\*)Different, and why/)
  })

  it('node.md and README.md lead to each page, and every page that a page leads to is there, with its heading', () => {
    const anchors = (text: string): string[] =>
      [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
        title
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      )
    const readme = readFileSync(new URL('../README.md', docs), 'utf8')
    for (const page of PAGES) {
      expect(read('node.md'), page).toContain(`(${page}.md`)
      expect(readme, page).toContain(`(docs/${page}.md`)
    }
    for (const page of [...PAGES, 'node', 'register']) {
      for (const [link, name, anchor] of read(`${page}.md`).matchAll(/\]\(([\w-]+\.md)?(?:#([\w-]+))?\)/g)) {
        const target = name ?? `${page}.md`
        expect(existsSync(new URL(target, docs)), link).toBe(true)
        if (anchor !== undefined) expect(anchors(read(target)), link).toContain(anchor)
      }
    }
  })
})
