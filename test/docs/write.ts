/** `npm run rfcs`: writes docs/rfcs.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import { readTable, render } from './rfcs.ts'

const docs = new URL('../../docs/', import.meta.url)
const rows = readTable(readFileSync(new URL('rfcs.tsv', docs), 'utf8'))
writeFileSync(new URL('rfcs.md', docs), render(rows))
