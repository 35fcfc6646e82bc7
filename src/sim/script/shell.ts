/** Words of a shell's command lines, as far as scripts for tests go: no variables, no loops, no conditions. */

import { parseCode } from './code.ts'
import { runCode } from './code-run.ts'
import { Unsupported } from './problem.ts'

/** Commands, each a pipeline of words. Redirections are taken out but for those to files of the kernel. Throws Unsupported. */
export function splitCommands(text: string): string[][][] {
  return new Splitter(text).commands()
}

class Splitter {
  private readonly text: string
  private at = 0
  private readonly out: string[][][] = []
  private pipeline: string[][] = []
  private words: string[] = []

  constructor(text: string) {
    this.text = text.replace(/\\(?:\n|$)/g, ' ')
  }

  commands(): string[][][] {
    while (this.at < this.text.length) this.step()
    this.endCommand()
    return this.out
  }

  private take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found !== null) this.at += found[0].length
    return found
  }

  private step(): void {
    if (this.take(/[ \t]+/y) !== null) return
    if (this.take(/#[^\n]*/y) !== null) return
    // What comes after `||` is for when the command fails: a stack that is made anew has nothing that fails.
    if (this.take(/\|\|[^\n;]*|[\n;]|&&|&(?!>)/y) !== null) {
      this.endCommand()
      return
    }
    if (this.take(/\|/y) !== null) {
      this.endStage()
      return
    }
    if (this.take(/(?:[12]|&)?>>?\s*(?:&[12]|\/dev\/null)/y) !== null) return
    if (this.take(/>>?/y) !== null) {
      this.words.push('>')
      return
    }
    this.words.push(this.word())
  }

  private endStage(): void {
    if (this.words.length > 0) this.pipeline.push(this.words)
    this.words = []
  }

  private endCommand(): void {
    this.endStage()
    if (this.pipeline.length > 0) this.out.push(this.pipeline)
    this.pipeline = []
  }

  private word(): string {
    let word = ''
    for (;;) {
      const bare = this.take(/[^\s'"$`\\;|&<>]+/y)
      if (bare !== null) {
        word += bare[0]
        continue
      }
      const single = this.take(/'([^']*)'/y)
      if (single !== null) {
        word += single[1]
        continue
      }
      const double = this.take(/"((?:\\[\s\S]|[^"\\])*)"/y)
      if (double !== null) {
        word += double[1]
          .replace(/\$\(\(([^()]*)\)\)/g, (_, sum: string) => String(arithmetic(sum)))
          .replace(/\\(["\\$`])/g, '$1')
        continue
      }
      const sum = this.take(/\$\(\(([^()]*)\)\)/y)
      if (sum !== null) {
        word += String(arithmetic(sum[1]))
        continue
      }
      // The number of packetdrill's process: part of the name of its own file.
      if (this.take(/\$\{?P?PID\}?/y) !== null) {
        word += 'PID'
        continue
      }
      const escaped = this.take(/\\([\s\S])/y)
      if (escaped !== null) {
        word += escaped[1]
        continue
      }
      if (word === '') throw new Unsupported(`command: ${this.text.slice(this.at, this.at + 40).split('\n')[0]}`)
      return word
    }
  }
}

function arithmetic(sum: string): number {
  const variables = new Map()
  const result = runCode(parseCode(`x = ${sum}`), variables, () => undefined)
  const x = variables.get('x')
  if (result.kind !== 'passed' || typeof x !== 'number') throw new Unsupported(`command: $((${sum}))`)
  return Math.trunc(x)
}
