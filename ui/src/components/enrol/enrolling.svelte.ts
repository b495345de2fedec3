/** Whether the dialog that adds a node is open: several buttons open it. */

class Enrolling {
  open = $state(false);
}

export const enrolling = new Enrolling();
