/**
 * The part of MessagePack that scripts and this client speak with each other: arrays, strings, bytes
 * and numbers. One argument for many messages, and one reply, cost a third of what each field by
 * itself costs the client (measured), and the server no more.
 */
export type Packable = string | number | Uint8Array | readonly Packable[]
export type Unpacked = Buffer | number | boolean | null | readonly Unpacked[]

const GROWTH = 2

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
export function unpack(bytes: Buffer): Unpacked {
  let at = 0
  const skip = (length: number): number => {
    at += length
    if (at > bytes.length) throw new RangeError('the reply of a script is cut off')
    return at - length
  }
  const raw = (length: number): Buffer => bytes.subarray(skip(length), at)
  const array = (length: number): readonly Unpacked[] => {
    const items: Unpacked[] = []
    for (let n = 0; n < length; n++) items.push(read())
    return items
  }
  const read = (): Unpacked => {
    const type = bytes[skip(1)] ?? 0
    if (type < 0x80) return type
    // Lua has one kind of table: an empty one is written as a map.
    if (type === 0x80) return []
    if (type >= 0xe0) return type - 0x100
    if ((type & 0xf0) === 0x90) return array(type & 0x0f)
    if ((type & 0xe0) === 0xa0) return raw(type & 0x1f)
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
      case 0xc3:
        return type === 0xc3
      case 0xca:
        return bytes.readFloatBE(skip(4))
      case 0xcb:
        return bytes.readDoubleBE(skip(8))
      case 0xcc:
        return bytes.readUInt8(skip(1))
      case 0xcd:
        return bytes.readUInt16BE(skip(2))
      case 0xce:
        return bytes.readUInt32BE(skip(4))
      case 0xcf:
        return Number(bytes.readBigUInt64BE(skip(8)))
      case 0xd0:
        return bytes.readInt8(skip(1))
      case 0xd1:
        return bytes.readInt16BE(skip(2))
      case 0xd2:
        return bytes.readInt32BE(skip(4))
      case 0xd3:
        return Number(bytes.readBigInt64BE(skip(8)))
      case 0xd9:
        return raw(bytes.readUInt8(skip(1)))
      case 0xda:
        return raw(bytes.readUInt16BE(skip(2)))
      case 0xdb:
        return raw(bytes.readUInt32BE(skip(4)))
      case 0xdc:
        return array(bytes.readUInt16BE(skip(2)))
      case 0xdd:
        return array(bytes.readUInt32BE(skip(4)))
      default:
        throw new RangeError(`the reply of a script holds a value of type ${type}`)
    }
  }
  return read()
}
