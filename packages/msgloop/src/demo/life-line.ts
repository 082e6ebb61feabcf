import type { FlowEvent } from '@msgloop/core'
import type { Paint } from '../terminal.js'
import type { Life, Step } from './ledger.js'

interface Piece {
  readonly text: string
  readonly colour: 'green' | 'yellow' | 'red' | 'dim' | 'magenta'
}

const WIDTH = 100
const TYPE = 20
const TO = 19
const ARROW = ' → '

/** The life of a message: one line, or a few where much has happened to it. At most 100 columns. */
export function lifeLine(life: Life, to: string, paint: Paint): string {
  const dead = life.state === 'dead'
  const mark = dead ? paint.red('✗') : paint.green('✓')
  const type = life.steps.map((step) => ('type' in step ? step.type : undefined)).find(Boolean) ?? '(no type)'
  const head = ` ${mark} ${paint.bold(life.id)} ${type.padEnd(TYPE)}${paint.dim(to.padEnd(TO))}`
  const indent = 3 + life.id.length + 1 + TYPE + TO
  const lines: string[] = ['']
  let column = indent
  for (const [index, piece] of pieces(life.steps).entries()) {
    const arrow = index === 0 ? '' : ARROW
    if (column + arrow.length + piece.text.length > WIDTH && index > 0) {
      lines.push(' '.repeat(indent - ARROW.length))
      column = indent - ARROW.length
    }
    lines[lines.length - 1] += `${paint.dim(arrow)}${paint[piece.colour](piece.text)}`
    column += arrow.length + piece.text.length
  }
  return head + lines.join('\n')
}

/** In order of time: what another process reports may come late. What led to a replay was told before. */
function pieces(steps: readonly Step[]): Piece[] {
  const killed = steps.some(({ step }) => step === 'killed')
  const ordered = [...steps].sort((a, b) => a.at - b.at)
  const from = ordered.findLastIndex(({ step }) => step === 'replayed')
  return ordered.slice(Math.max(0, from)).flatMap((step) => piece(step, killed) ?? [])
}

/** What is worth a word. `received` and `started` are told by how they end. */
function piece(step: Step, killed: boolean): Piece | undefined {
  const who = step.consumer ?? ''
  switch (step.step) {
    case 'sent':
      return { text: 'sent', colour: 'dim' }
    case 'acked': {
      const again =
        killed && step.deliveries !== undefined && step.deliveries > 1 ? `, delivery ${step.deliveries}` : ''
      return { text: `${who} ✓ ${ms(step.durationMs)}${again}`, colour: 'green' }
    }
    case 'failed':
      return { text: `${who} ✗ ${reason(step)}, not retried`, colour: 'red' }
    case 'retried':
      return { text: `${who} ✗ ${reason(step)}, retry in ${ms(step.delayMs)}`, colour: 'yellow' }
    case 'dead-lettered':
    case 'rejected':
    case 'expired':
      return { text: `${lastWords(step)}, dead: ${step.reason ?? 'unknown'}`, colour: 'red' }
    case 'killed':
      return { text: `${who} killed`, colour: 'magenta' }
    case 'replayed':
      return { text: 'replayed from the dead-letter queue', colour: 'magenta' }
    case 'released':
      return { text: `${who} gave it back`, colour: 'dim' }
    case 'received':
    case 'started':
    case 'lease-lost':
      return undefined
    default:
      throw new TypeError(`unknown step ${JSON.stringify(step satisfies never)}`)
  }
}

/** No handler sees what does not match the schema. */
function lastWords(step: FlowEvent): string {
  if (step.reason === 'invalid' || step.reason === 'undecodable') return 'not a mail'
  return `${step.consumer ?? ''} ✗ ${reason(step)}`
}

function reason({ error }: FlowEvent): string {
  return error instanceof Object && 'message' in error ? String(error.message).slice(0, 24) : 'failed'
}

function ms(milliseconds = 0): string {
  return `${Math.round(milliseconds)} ms`
}
