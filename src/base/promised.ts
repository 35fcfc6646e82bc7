/** What hosts must know of promises. */
export const promised = {
  /** A promise was settled that the application may wait for: it goes on before the stacks do. */
  settled: false,
}
