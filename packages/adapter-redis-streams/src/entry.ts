import { Unpacker } from './msgpack.js'

/** An entry of a stream. */
export interface Entry {
  readonly id: string
  /** Names and values by turns. */
  readonly fields: readonly Buffer[]
}

/** Reads the fields of an entry one after the other. After `next`, the name and then the value, in either form. */
export interface FieldReader {
  next(): boolean
  name(): string
  text(): string
  bytes(): Buffer
}

export const readerOf = (entry: Entry): FieldReader =>
  entry instanceof PackedEntry ? entry.reader() : new BufferReader(entry.fields)

/** One that was packed by a script. Most are read once, so that its fields are not taken apart for more. */
export class PackedEntry implements Entry {
  readonly id: string
  readonly #bytes: Buffer
  readonly #at: number
  #fields: readonly Buffer[] | undefined

  constructor(id: string, bytes: Buffer, at: number) {
    this.id = id
    this.#bytes = bytes
    this.#at = at
  }

  get fields(): readonly Buffer[] {
    if (!this.#fields) {
      const unpacker = new Unpacker(this.#bytes, this.#at)
      this.#fields = Array.from({ length: unpacker.length() }, () => unpacker.bytes())
    }
    return this.#fields
  }

  reader(): FieldReader {
    return new PackedReader(this.#bytes, this.#at)
  }
}

class PackedReader implements FieldReader {
  readonly #bytes: Buffer
  readonly #unpacker: Unpacker
  #left: number

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#unpacker = new Unpacker(bytes, at)
    this.#left = this.#unpacker.length() >> 1
  }

  next(): boolean {
    return this.#left-- > 0
  }

  name(): string {
    const begin = this.#unpacker.begin()
    return nameAt(this.#bytes, begin, this.#unpacker.at)
  }

  text(): string {
    return this.#unpacker.text()
  }

  bytes(): Buffer {
    return this.#unpacker.bytes()
  }
}

class BufferReader implements FieldReader {
  readonly #fields: readonly Buffer[]
  #at = -2

  constructor(fields: readonly Buffer[]) {
    this.#fields = fields
  }

  next(): boolean {
    this.#at += 2
    return this.#at + 1 < this.#fields.length
  }

  name(): string {
    return this.#fields[this.#at]?.toString() ?? ''
  }

  text(): string {
    return this.bytes().toString()
  }

  bytes(): Buffer {
    return this.#fields[this.#at + 1] ?? Buffer.alloc(0)
  }
}

/** Nearly all names there are, by length: no text is made of them again for each message. */
const COMMON = new Map(['id', 'body', 'content-type'].map((name) => [name.length, Buffer.from(name)]))
const COMMON_TEXTS = new Map([...COMMON.values()].map((name) => [name, name.toString()]))

function nameAt(bytes: Buffer, from: number, to: number): string {
  const common = COMMON.get(to - from)
  if (common && common.compare(bytes, from, to) === 0) return COMMON_TEXTS.get(common) ?? ''
  return bytes.toString('utf8', from, to)
}
