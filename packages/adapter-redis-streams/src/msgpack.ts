/**
 * The part of MessagePack that scripts and this client speak with each other: arrays, strings, bytes
 * and numbers. One argument for many messages, and one reply, cost a third of what each field by
 * itself costs the client (measured), and the server no more.
 */
export type Packable = string | number | Uint8Array | readonly Packable[]
export type Unpacked = Buffer | number | boolean | null | readonly Unpacked[]

const GROWTH = 2
/** Characters; of one byte of length at most. */
const SHORT = 64

/** Writes one value. `hint` is how many bytes it may take, roughly. */
export function pack(value: Packable, hint = 1_024): Buffer {
  return new Packer(hint).value(value).bytes()
}

class Packer {
  #bytes: Buffer
  #at = 0

  constructor(hint: number) {
    this.#bytes = Buffer.allocUnsafe(hint)
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  value(value: Packable): this {
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#number(value)
    else if (value instanceof Uint8Array) this.#raw(value)
    else {
      this.#room(5)
      this.#array(value.length)
      for (const each of value) this.value(each)
    }
    return this
  }

  /** A character takes up to three bytes: where that fits the short form, nobody counts. */
  #text(text: string): void {
    const most = text.length * 3
    this.#room(most + 5)
    if (text.length <= SHORT && this.#ascii(text)) return
    if (most < 0x10000) {
      const length = this.#bytes.write(text, this.#at + 3)
      this.#bytes[this.#at] = 0xda
      this.#bytes.writeUInt16BE(length, this.#at + 1)
      this.#at += 3 + length
    } else {
      const length = this.#bytes.write(text, this.#at + 5)
      this.#bytes[this.#at] = 0xdb
      this.#bytes.writeUInt32BE(length, this.#at + 1)
      this.#at += 5 + length
    }
  }

  /** What is short is written faster here than by a call of the runtime. */
  #ascii(text: string): boolean {
    const bytes = this.#bytes
    const { length } = text
    const from = this.#at + 2
    for (let n = 0; n < length; n++) {
      const code = text.charCodeAt(n)
      if (code >= 0x80) return false
      bytes[from + n] = code
    }
    bytes[this.#at] = 0xd9
    bytes[this.#at + 1] = length
    this.#at = from + length
    return true
  }

  #raw(bytes: Uint8Array): void {
    this.#room(bytes.length + 5)
    this.#bytes[this.#at] = 0xdb
    this.#bytes.writeUInt32BE(bytes.length, this.#at + 1)
    this.#bytes.set(bytes, this.#at + 5)
    this.#at += 5 + bytes.length
  }

  #number(number: number): void {
    this.#room(9)
    if (Number.isInteger(number) && number >= 0 && number < 0x80) this.#bytes[this.#at++] = number
    else {
      this.#bytes[this.#at] = 0xcb
      this.#at = this.#bytes.writeDoubleBE(number, this.#at + 1)
    }
  }

  #array(length: number): void {
    if (length < 16) this.#bytes[this.#at++] = 0x90 | length
    else {
      this.#bytes[this.#at] = 0xdd
      this.#at = this.#bytes.writeUInt32BE(length, this.#at + 1)
    }
  }

  #room(more: number): void {
    const needed = this.#at + more
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * GROWTH))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}

/** Reads what a script packed. Strings are parts of `bytes`, not copies. @throws RangeError */
export const unpack = (bytes: Buffer): Unpacked => new Unpacker(bytes).value()

/** Reads value by value. @throws RangeError */
export class Unpacker {
  readonly #bytes: Buffer
  /** Where the next value begins. */
  at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.at = at
  }

  value(): Unpacked {
    const bytes = this.#bytes
    const type = bytes[this.at] ?? 0
    if (type < 0x80 || type >= 0xe0) return type < 0x80 ? this.#byte() : this.#byte() - 0x100
    if (isString(type)) return this.bytes()
    if (isArray(type)) return Array.from({ length: this.length() }, () => this.value())
    this.#byte()
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
      case 0xc3:
        return type === 0xc3
      case 0xca:
        return bytes.readFloatBE(this.#skip(4))
      case 0xcb:
        return bytes.readDoubleBE(this.#skip(8))
      case 0xcc:
        return this.#byte()
      case 0xcd:
        return bytes.readUInt16BE(this.#skip(2))
      case 0xce:
        return bytes.readUInt32BE(this.#skip(4))
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.#skip(8)))
      case 0xd0:
        return bytes.readInt8(this.#skip(1))
      case 0xd1:
        return bytes.readInt16BE(this.#skip(2))
      case 0xd2:
        return bytes.readInt32BE(this.#skip(4))
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.#skip(8)))
      default:
        throw new RangeError(`the reply of a script holds a value of type ${type}`)
    }
  }

  /** Begins to read an array, and tells how many values there are in it. */
  length(): number {
    const type = this.#byte()
    // Lua has one kind of table: an empty one is written as a map.
    if (type === 0x80) return 0
    if ((type & 0xf0) === 0x90) return type & 0x0f
    if (type === 0xdc) return this.#bytes.readUInt16BE(this.#skip(2))
    if (type === 0xdd) return this.#bytes.readUInt32BE(this.#skip(4))
    throw new RangeError(`the reply of a script holds a value of type ${type} and no array`)
  }

  bytes(): Buffer {
    return this.#bytes.subarray(this.begin(), this.at)
  }

  text(): string {
    return this.#bytes.toString('utf8', this.begin(), this.at)
  }

  /** Passes over a string, and tells where it begins. */
  begin(): number {
    const type = this.#byte()
    if ((type & 0xe0) === 0xa0) return this.#skip(type & 0x1f)
    if (type === 0xd9) return this.#skip(this.#byte())
    if (type === 0xda) return this.#skip(this.#bytes.readUInt16BE(this.#skip(2)))
    if (type === 0xdb) return this.#skip(this.#bytes.readUInt32BE(this.#skip(4)))
    throw new RangeError(`the reply of a script holds a value of type ${type} and no string`)
  }

  #byte(): number {
    const byte = this.#bytes[this.at++]
    if (byte === undefined) throw new RangeError('the reply of a script is cut off')
    return byte
  }

  #skip(length: number): number {
    const at = this.at
    this.at += length
    if (this.at > this.#bytes.length) throw new RangeError('the reply of a script is cut off')
    return at
  }
}

const isString = (type: number): boolean => (type & 0xe0) === 0xa0 || (type >= 0xd9 && type <= 0xdb)
const isArray = (type: number): boolean =>
  (type & 0xf0) === 0x90 || type === 0x80 || type === 0xdc || type === 0xdd
