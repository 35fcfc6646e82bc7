/**
 * The map of the RFCs: docs/rfcs.tsv is the data, kept by hand; docs/rfcs.md is made of it by `npm run rfcs`; rfcs.test.ts keeps both true.
 *
 * A row of the data is one requirement, or (area `whole`) one document. Columns: rfc, section, id, level, area, requirement, status, source
 * (files, spaces between), tests (`file > title`, or a script; ` ;; ` between), reason.
 */

export const STATUSES = ['yes', 'deviates', 'no', 'later', 'not applicable'] as const

export interface Row {
  rfc: string
  section: string
  id: string
  level: string
  area: string
  requirement: string
  status: string
  source: string[]
  tests: Proof[]
  reason: string
}

/** A test by its file and the title as it stands there; a script has no title. */
export interface Proof {
  file: string
  title: string
}

const COLUMNS = ['rfc', 'section', 'id', 'level', 'area', 'requirement', 'status', 'source', 'tests', 'reason']

export function readTable(text: string): Row[] {
  const [head, ...lines] = text.replace(/\n$/, '').split('\n')
  if (head !== COLUMNS.join('\t')) throw new Error(`columns are ${COLUMNS.join(', ')}`)
  return lines.map((line) => {
    const cells = line.split('\t')
    if (cells.length !== COLUMNS.length) throw new Error(`${cells.length} columns: ${line}`)
    const [rfc, section, id, level, area, requirement, status, source, tests, reason] = cells
    return {
      rfc,
      section,
      id,
      level,
      area,
      requirement,
      status,
      source: source === '' ? [] : source.split(' '),
      tests: tests === '' ? [] : tests.split(' ;; ').map(proof),
      reason,
    }
  })
}

function proof(text: string): Proof {
  const at = text.indexOf(' > ')
  return at < 0 ? { file: text, title: '' } : { file: text.slice(0, at), title: text.slice(at + 3) }
}

/** Whether a file holds a test of that title: the literal as it is written, in whatever quotes. */
export function hasTitle(source: string, title: string): boolean {
  return ["'", '"', '`'].some((q) => source.includes(`${q}${title.replaceAll(q, `\\${q}`)}${q}`))
}

const INTRODUCTION = `# What the RFCs ask, and what the stack does

Made of [rfcs.tsv](rfcs.tsv) by \`npm run rfcs\`. A test keeps it true: every file and every test that it names is there.

- **yes**: obeyed; of a "NOT", that it is not done.
- **deviates**: done otherwise, on purpose; the reason says why.
- **no**: not done; the reason says why.
- **later**: belongs to something that the stack does not have yet.
- **not applicable**: asks something of others, or of what the stack does not do.

Sources are in \`src/\`, tests in \`test/\`. Scripts (\`.pkt\`) are played by \`test/scripts.test.ts\`.
`

interface Group {
  title: string
  rows: Row[]
}

/** By document; but "extra" gathers single requirements of many, and DNS is many documents. */
function groups(rows: readonly Row[]): Group[] {
  const out: Group[] = []
  for (const row of rows) {
    const title =
      row.area === 'whole' ? 'Documents' : row.area === 'extra' ? 'Single requirements' : row.area === 'dns' ? 'DNS' : row.rfc
    const group = out.find((g) => g.title === title)
    if (group === undefined) out.push({ title, rows: [row] })
    else group.rows.push(row)
  }
  return out
}

export function render(rows: readonly Row[]): string {
  const parts = [INTRODUCTION, '## In numbers\n', numbers(rows), '## MUSTs that are not obeyed to the letter\n', exceptions(rows)]
  for (const { title, rows: members } of groups(rows)) {
    parts.push(`## ${title}\n`)
    const areas = [...new Set(members.map((r) => r.area))]
    for (const area of areas) {
      if (areas.length > 1) parts.push(`### ${area}\n`)
      parts.push(table(members.filter((r) => r.area === area)))
    }
  }
  return parts.join('\n')
}

function numbers(rows: readonly Row[]): string {
  const lines = groups(rows).map(({ title, rows: members }) => {
    const counts = STATUSES.map((s) => members.filter((r) => r.status === s).length)
    return `| ${title} | ${members.length} | ${counts.join(' | ')} |`
  })
  return `| | rows | ${STATUSES.join(' | ')} |\n|---|---|${'---|'.repeat(STATUSES.length)}\n${lines.join('\n')}\n`
}

function exceptions(rows: readonly Row[]): string {
  return `${rows
    .filter((r) => r.level.startsWith('MUST') && (r.status === 'deviates' || r.status === 'no'))
    .map((r) => `- **${r.id}** (${r.rfc} ${section(r)}), ${escaped(r.requirement)}: ${r.status}. ${escaped(r.reason)}`)
    .join('\n')}\n`
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((r) => {
    const what =
      r.area === 'whole' ? r.rfc : `${r.id}<br>${r.area === 'extra' || r.area === 'dns' ? `${r.rfc} ` : ''}${section(r)}`
    const source = r.source.map((f) => `\`${f.replace('src/', '')}\``).join('<br>')
    const tests = r.tests.map(({ file, title }) => {
      const name = `\`${file.replace('test/', '')}\``
      return title === '' ? name : `${name}: ${escaped(title)}`
    })
    const requirement = `${r.level === '-' ? '' : `${r.level}: `}${escaped(r.requirement)}`
    return `| ${what} | ${requirement} | ${r.status} | ${source} | ${tests.join('<br>')} | ${escaped(r.reason)} |`
  })
  return `| | requirement | status | source | proved by | reason, remarks |\n|---|---|---|---|---|---|\n${lines.join('\n')}\n`
}

function section(row: Row): string {
  return row.section === '-' ? '' : row.section.replace(/^s/, '§')
}

/** Text that Markdown shall show as it is. */
function escaped(text: string): string {
  return text.replace(/[|<>*_$[\]]/g, (c) => (c === '<' ? '&lt;' : c === '>' ? '&gt;' : `\\${c}`))
}
