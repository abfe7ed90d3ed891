/** Reads what `strace -f -yy -o FILE` writes: which thread made which system call on what, and in which order. */

export interface SystemCall {
  readonly name: string;
  /** What stands behind its file descriptor: a path, or `TCP:[FROM->TO]`. */
  readonly target: string;
  /** Its arguments as strace prints them. */
  readonly text: string;
  readonly result: number;
  /** Numbers of the lines where it began and where it returned. */
  readonly begun: number;
  readonly ended: number;
}

const LINE = /^(?<thread>\d+) +(?<rest>.*)$/;
const WHOLE = /^(?<call>\w+\(.*) = (?<result>-?\d+)(?: .*)?$/;
const UNFINISHED = / <unfinished \.\.\.>$/;
const RESUMED = /^<\.\.\. \w+ resumed>.* = (?<result>-?\d+)(?: .*)?$/;
const CALL = /^(?<name>\w+)\(\d+<(?<target>(?:->|[^>])*)>(?<text>.*)$/;

/** Calls that returned, in the order in which they began. Calls on no descriptor are left out. */
export function readTrace(trace: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const open = new Map<string, { readonly text: string; readonly begun: number }>();
  const add = (text: string, result: string | undefined, lines: { begun: number; ended: number }): void => {
    const { name = '', target = '', text: rest = '' } = CALL.exec(text)?.groups ?? {};
    if (name !== '') calls.push({ name, target, text: rest, result: Number(result), ...lines });
  };
  for (const [line, content] of trace.split('\n').entries()) {
    const { thread = '', rest = '' } = LINE.exec(content)?.groups ?? {};
    if (UNFINISHED.test(rest)) {
      open.set(thread, { text: rest.replace(UNFINISHED, ''), begun: line });
      continue;
    }
    const resumed = RESUMED.exec(rest)?.groups;
    const before = open.get(thread);
    if (resumed !== undefined && before !== undefined) {
      open.delete(thread);
      add(before.text, resumed['result'], { begun: before.begun, ended: line });
      continue;
    }
    const whole = WHOLE.exec(rest)?.groups;
    if (whole !== undefined) add(whole['call'] ?? '', whole['result'], { begun: line, ended: line });
  }
  return calls.sort((a, b) => a.begun - b.begun);
}
