// Made by podwright types. What is changed here is lost the next time.
import type { KindRef, ObjectMeta } from "podwright/client";

/** A Widget is as many ConfigMaps with the same text as it says. */
export type Widget = {
  readonly apiVersion?: "example.com/v1" | undefined;
  readonly kind?: "Widget" | undefined;
  readonly metadata?: ObjectMeta | undefined;
  readonly spec: {
    /** How many there are to be. */
    readonly parts: number;
    /** What each holds. */
    readonly text: string;
  };
  readonly status?: {
    /** How many there are. */
    readonly parts?: number | undefined;
    readonly observedGeneration?: number | undefined;
    readonly conditions?: readonly ({
      readonly type: string;
      readonly status: "True" | "False" | "Unknown";
      readonly reason?: string | undefined;
      readonly message?: string | undefined;
      readonly lastTransitionTime?: string | undefined;
    })[] | undefined;
  } | undefined;
};

/** example.com/v1 Widget, for a client. */
export const widgets: KindRef<Widget> = {
  group: "example.com",
  version: "v1",
  kind: "Widget",
  resource: "widgets",
  namespaced: true
};
