// The charge nurse's page: who is on the ward, who looks after whom, what the alarms ask of people, and the devices. Who sees no
// patients has the burden alone.

import { seesPatients } from "../access/session";
import { w } from "../words";
import { Assignments } from "./Assignments";
import { BurdenPanel } from "./Burden";
import { CensusPanel } from "./Census";
import { Devices } from "./Devices";
import { Teams } from "./Teams";

export function Charge() {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <main class="desk" aria-label={w.charge.title} data-testid="charge" tabIndex={0}>
      {seesPatients.value && <CensusPanel />}
      <BurdenPanel />
      {seesPatients.value && (
        <>
          <Assignments />
          <Teams />
          <Devices />
        </>
      )}
    </main>
  );
}
