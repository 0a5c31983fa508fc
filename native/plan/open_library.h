// Shared objects that lie beside the module this code is linked into.
#pragma once
#include <string>

namespace mistralrs {

// Whether there is such a file.
bool hasLibrary(const std::string& file);

// Opens `file` for good and returns the address of its function `symbol`. Throws Error `io`.
void* openLibrary(const std::string& file, const char* symbol);

}  // namespace mistralrs
