/** What is stopped now by hand, as the gate and the doors see it. The file behind it is read elsewhere. */
import type { Kill, Subject } from '../policy/kills.ts';

export interface KillSwitch {
  /** The kill that is in force for what comes from, or goes to, a client; undefined: it may pass. */
  killOf(subject: Subject): Kill | undefined;
  /** Calls the listener when one is in force that was not. @returns ends that */
  onKill(listener: () => void): () => void;
}
