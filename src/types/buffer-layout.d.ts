/** What tapstack uses of buffer-layout 1.2.2, which ships no types. `decode` and `encode` want a Node `Buffer` (a Uint8Array subclass). */
declare module 'buffer-layout' {
  export class Layout<T = unknown> {
    readonly span: number
    readonly property?: string
    decode(b: Uint8Array, offset?: number): T
    encode(src: T, b: Uint8Array, offset?: number): number
    getSpan(b?: Uint8Array, offset?: number): number
    replicate(property: string): this
  }
  export class Structure extends Layout<Record<string, unknown>> {
    readonly fields: Layout[]
    offsetOf(property: string): number | undefined
    layoutFor(property: string): Layout
  }
  export function u8(property?: string): Layout<number>
  export function u16(property?: string): Layout<number>
  export function u32(property?: string): Layout<number>
  export function u16be(property?: string): Layout<number>
  export function u24be(property?: string): Layout<number>
  export function u32be(property?: string): Layout<number>
  export function nu64(property?: string): Layout<number>
  export function blob(length: number, property?: string): Layout<Uint8Array>
  export function seq<T>(element: Layout<T>, count: number, property?: string): Layout<T[]>
  // biome-ignore lint/suspicious/noExplicitAny: a struct holds fields of every type
  export function struct(fields: Layout<any>[], property?: string): Structure
}
