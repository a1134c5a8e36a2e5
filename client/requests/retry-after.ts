import { at } from '#api/wire/json.ts';

/** A server that asks for more is not believed. */
const waitMsMax = 60_000;
/** The budget of a disruption refuses by 429, too: whoever evicts decides by itself when to ask again. */
const disruption = 'DisruptionBudget';

/**
 * For how long an answer asks to be left alone before the same is asked again, in milliseconds: 429 and 5xx with `Retry-After: SECONDS`
 * (as client-go's rest.Request takes it). Undefined: it is an answer. Pure.
 */
export function retryAfterMs(status: number, header: string | undefined, text: string): number | undefined {
  if ((status !== 429 && status < 500) || header === undefined || !/^\d+$/.test(header.trim()))
    return undefined;
  if (text.includes(disruption) && isOfDisruption(text)) return undefined;
  return Math.min(waitMsMax, Number(header) * 1000);
}

function isOfDisruption(text: string): boolean {
  try {
    const causes = at(JSON.parse(text), 'details.causes');
    return Array.isArray(causes) && causes.some((cause) => at(cause, 'reason') === disruption);
  } catch {
    return false;
  }
}
