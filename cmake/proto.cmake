# proto/*.proto -> C in the build tree, with relaxed warnings.
find_program(PROTOC_C protoc-c REQUIRED)
file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
set(RK_PROTO_DIR ${CMAKE_BINARY_DIR}/generated/proto)
file(MAKE_DIRECTORY ${RK_PROTO_DIR})
set(proto_sources)
foreach(proto IN LISTS protos)
  get_filename_component(name ${proto} NAME_WE)
  add_custom_command(
    OUTPUT ${RK_PROTO_DIR}/${name}.pb-c.c ${RK_PROTO_DIR}/${name}.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${RK_PROTO_DIR} --proto_path=${CMAKE_SOURCE_DIR}/proto ${proto}
    DEPENDS ${proto})
  list(APPEND proto_sources ${RK_PROTO_DIR}/${name}.pb-c.c)
endforeach()
if(NOT proto_sources)
  message(FATAL_ERROR "proto/ holds no .proto file")
endif()
add_library(rk_proto STATIC ${proto_sources})
target_include_directories(rk_proto SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/generated)
target_include_directories(rk_proto PRIVATE ${RK_PROTO_DIR})
target_compile_options(rk_proto PRIVATE -w)
target_link_libraries(rk_proto PUBLIC PkgConfig::PROTOBUF_C)
