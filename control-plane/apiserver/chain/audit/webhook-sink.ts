import { describeError } from '#base/errors.ts';
import type { Webhook } from '#client/webhook.ts';
import type { AuditEvent } from './event.ts';
import type { AuditSink, OnLost } from './sink.ts';

/** Sends events to somebody else's program, as an EventList. */
export function webhookSink(webhook: Webhook, onLost: OnLost): AuditSink {
  return {
    take: async (events) => {
      try {
        await webhook.post(Buffer.from(renderList(events)));
        return true;
      } catch (error) {
        onLost(events.length, describeError(error));
        return false;
      }
    },
    [Symbol.asyncDispose]: async () => webhook[Symbol.dispose](),
  };
}

function renderList(events: readonly AuditEvent[]): string {
  return `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${events.map(({ json }) => json).join(',')}]}`;
}
