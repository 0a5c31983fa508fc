#include "cpu/kernel_library.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "testing/testing.h"

namespace mistralrs {
namespace {

// As a thread does that still loads a model when the process ends: the addon's own handler, which waits for the threads, was
// registered before anything here was called, and so runs after whatever was registered since.
void loadAtExit() {
  const bool sameAsEver = availableIsas().back() == "generic" && &openKernels() == &openKernels(availableIsas().front());
  _exit(sameAsEver ? 7 : 1);
}

TEST(kernels_can_be_opened_while_the_process_ends) {
  const pid_t child = fork();
  if (child == 0) {
    std::atexit(loadAtExit);
    for (const std::string& isa : availableIsas()) openKernels(isa);
    std::exit(1);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace mistralrs
