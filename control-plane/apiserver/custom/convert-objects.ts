import { randomUUID } from 'node:crypto';
import type { ConversionWebhook } from '#api/custom/custom-form.ts';
import {
  describeConverted,
  readReview,
  renderReview,
  reviewVersionOf,
  type ConversionQuestion,
} from '#api/custom/conversion-review.ts';
import { bareError } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ConvertObjects } from '#control-plane/apiserver/objects/custom-objects.ts';

/** Asks who converts, by its WebhookClientConfig. Its answer as JSON, or in words why there is none. */
export type AskConverter = (
  client: JsonObject,
  question: JsonObject,
  timeoutMs: number,
) => Promise<{ readonly answer: unknown } | { readonly failure: string }>;

/** How long a conversion may take (apiextensions-apiserver, webhook_converter.go). */
export const conversionTimeoutMs = 30_000;
/** Objects, and characters of them, that one question has. */
export const objectsMax = 500;
const charactersMax = 1_000_000;

/** Converts by webhooks: objects of a list in few questions, one after the other. */
export function convertObjects(ask: AskConverter): ConvertObjects {
  return async (kind, objects, apiVersion) => {
    const conversion = kind.custom?.conversion;
    if (conversion?.kind !== 'webhook') throw bareError('no webhook converts objects of this kind');
    const done: JsonObject[] = [];
    for (const each of inParts(objects)) {
      done.push(...(await convertPart(ask, conversion.webhook, { objects: each, apiVersion })));
    }
    return done;
  };
}

async function convertPart(
  ask: AskConverter,
  { client, reviewVersions }: ConversionWebhook,
  part: Pick<ConversionQuestion, 'objects' | 'apiVersion'>,
): Promise<readonly JsonObject[]> {
  const question = { ...part, version: reviewVersionOf(reviewVersions), uid: randomUUID() };
  const asked = await ask(client, renderReview(question), conversionTimeoutMs);
  const subject = `conversion webhook for ${describeConverted(question)}`;
  if ('failure' in asked) throw bareError(`${subject} failed: ${asked.failure}`);
  const { objects, failure } = readReview(question, asked.answer);
  if (objects === undefined) throw bareError(failure);
  return objects;
}

function inParts(objects: readonly JsonObject[]): readonly (readonly JsonObject[])[] {
  const parts: JsonObject[][] = [];
  let length = Infinity;
  for (const object of objects) {
    const own = JSON.stringify(object).length;
    const last = parts.at(-1);
    if (last === undefined || last.length >= objectsMax || length + own > charactersMax) {
      parts.push([object]);
      length = own;
    } else {
      last.push(object);
      length += own;
    }
  }
  return parts;
}
