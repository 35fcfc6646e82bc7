/** Lines to standard output. On Linux a pipe is written at once, so whoever waits for a line gets it when it is said. */

// `tapstack ... | head`: whoever read us has gone, so there is nobody to talk to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** One line of a terminal that changes: each text takes the place of the one before. */
export function progressOn(terminal: { write(text: string): unknown; columns?: number }): (text: string) => void {
  // A line that wraps could not be taken back; ESC [ K is "erase to the end of the line" (ECMA-48).
  return (text) => void terminal.write(`\r\x1b[K${text.slice(0, (terminal.columns ?? 80) - 1)}`)
}
