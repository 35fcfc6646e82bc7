/**
 * `#define`, `#undef`, `#ifdef`, `#ifndef`, `#else`, `#endif` at the beginning of a line, and `#` as a comment there. What is left out becomes
 * empty lines, so that positions stay true.
 */
import type { Platform } from './ast.ts'
import { ScriptError } from './problem.ts'

/** Names that conditions may ask for: what `uname` says, and what compilers define. */
const PLATFORMS: { readonly [K in Platform]: readonly string[] } = {
  linux: ['Linux', 'linux', '__linux__'],
  freebsd: ['FreeBSD', '__FreeBSD__'],
}

/** Adds the script's definitions to `defines`. Throws ScriptError. */
export function preprocess(file: string, text: string, defines: Map<string, string>, platform: Platform): string {
  /** Of each open condition: whether it holds and whether those around it do. */
  const open: { line: number; holds: boolean; outside: boolean; hadElse: boolean }[] = []
  let active = true
  const out: string[] = []
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  lines.forEach((line, i) => {
    if (!line.startsWith('#')) {
      out.push(active ? line : '')
      return
    }
    out.push('')
    const [, directive, name, value] = /^#(\w*)\s*(\w*)\s*(.*?)\s*$/.exec(line)!
    const wrong = (what: string): never => {
      throw new ScriptError(`${file}:${i + 1}:1: ${what}\n${line}\n^`)
    }
    const named = (): string => (name === '' ? wrong(`#${directive} without a name`) : name)
    switch (directive) {
      case 'define':
        if (active) defines.set(named(), value === '' ? '1' : value)
        break
      case 'undef':
        if (active) defines.delete(named())
        break
      case 'ifdef':
      case 'ifndef':
        open.push({
          line: i + 1,
          holds: (defines.has(named()) || PLATFORMS[platform].includes(name)) === (directive === 'ifdef'),
          outside: active,
          hadElse: false,
        })
        break
      case 'else': {
        const last = open.at(-1) ?? wrong('#else without #ifdef')
        if (last.hadElse) wrong('a second #else')
        last.hadElse = true
        last.holds = !last.holds
        break
      }
      case 'endif':
        active = (open.pop() ?? wrong('#endif without #ifdef')).outside
        break
      default:
        // A comment, as is a directive behind a blank. `#if` and `#include` are nobody's: said, rather than passed over.
        if (/^#(?:if|elif|include)\b/.test(line)) wrong(`#${directive} is not known`)
    }
    const last = open.at(-1)
    if (last !== undefined) active = last.outside && last.holds
  })
  const left = open.at(-1)
  if (left !== undefined) throw new ScriptError(`${file}:${left.line}:1: a condition without #endif\n${lines[left.line - 1]}\n^`)
  return out.join('\n')
}
