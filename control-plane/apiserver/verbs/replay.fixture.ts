import { patchTypes } from '#control-plane/apiserver/observed/observed-step.fixture.ts';

/** A request that a real kube-apiserver answered, and its answer, as written down in a file of observations. */
export interface ObservedStep {
  readonly label: string;
  readonly method: string;
  readonly path: string;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  readonly body: string;
  readonly status: number;
  /** The answer, or what was written down of it. */
  readonly answer: unknown;
  readonly warnings: readonly string[];
}

/** The steps of a section of the file (`--- label`, `> METHOD path [kind] body`, `! Warning: …`, `< code answer`). */
export function readSteps(text: string): readonly ObservedStep[] {
  const steps: ObservedStep[] = [];
  let label = '';
  let request: Omit<ObservedStep, 'status' | 'answer' | 'warnings'> | undefined;
  let warnings: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('--- ')) [label, request, warnings] = [line.slice(4), undefined, []];
    else if (line.startsWith('> ')) request = readRequest(line.slice(2), label);
    else if (line.startsWith('! Warning: ')) warnings.push(line.slice('! Warning: '.length));
    else if (line.startsWith('< ') && request !== undefined) {
      const [, code = '', answer = ''] = /^< (\d+) ?(.*)$/.exec(line) ?? [];
      steps.push({ ...request, status: Number(code), answer: parseAnswer(answer), warnings });
      request = undefined;
    }
  }
  return steps;
}

function readRequest(line: string, label: string): Omit<ObservedStep, 'status' | 'answer' | 'warnings'> {
  const [, method = '', path = '', rest = ''] = /^(\S+) (\S+) ?(.*)$/.exec(line) ?? [];
  const [, mark, agent, body = ''] =
    /^(?:\[([^\]{"]+)\] ?)?(?:\{User-Agent: ([^}]*)\} ?)?(.*)$/.exec(rest) ?? [];
  return {
    ...{ label, method, path, body: body.replaceAll('⏎', '\n') },
    contentType: mark === undefined ? undefined : (patchTypes[mark] ?? mark),
    userAgent: agent,
  };
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
